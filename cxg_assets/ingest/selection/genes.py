"""Which genes of var a subset keeps."""

from collections import Counter

import pyarrow as pa

from cxg_assets.ingest.errors import BadInput, shown, shown_names
from cxg_assets.ingest.filters.value_filter import ValueFilter, parse_filter
from cxg_assets.ingest.filters.watch import FilterWatch
from cxg_assets.ingest.spec import GeneSelection

_WHERE = "genes.value_filter"

N_NAMED = 5
"""How many unknown genes an error names before it only counts."""


def select_genes(var: pa.Table, selection: GeneSelection | None) -> pa.Table:
    """The rows of var that a selection keeps, in var's order.

    Args:
        var: All genes, (n_vars, columns), with `soma_joinid` and `feature_id`.
        selection: None keeps all.

    Raises:
        BadInput: The filter is wrong, a feature_id is unknown or listed twice, or no gene is left.
    """
    if selection is None:
        return var
    kept = var if selection.feature_ids is None else _select_ids(var, selection.feature_ids)
    gene_filter = parse_gene_filter(selection, var.schema)
    return kept if gene_filter is None else _select_passing(kept, gene_filter)


def parse_gene_filter(selection: GeneSelection | None, schema: pa.Schema) -> ValueFilter | None:
    """The filter over var of a selection; None where it has none.

    Args:
        selection: Which genes are kept.
        schema: Schema of var.

    Raises:
        BadInput: The filter is wrong.
    """
    if selection is None or selection.value_filter is None:
        return None
    return parse_filter(selection.value_filter, schema, where=_WHERE)


def _select_passing(var: pa.Table, gene_filter: ValueFilter) -> pa.Table:
    batches = var.to_batches()
    masks = [pa.array(gene_filter.mask(batch)) for batch in batches]
    kept = var.filter(pa.chunked_array(masks, type=pa.bool_()))
    if kept.num_rows == 0:
        watch = FilterWatch(gene_filter)
        for batch in batches:
            watch.see(batch, 0)
        passes = f"no gene of {var.num_rows:,} passes {shown(gene_filter.text)}"
        raise BadInput(f"{_WHERE}: {passes}; {watch.why_nothing('gene')}")
    return kept


def _select_ids(var: pa.Table, feature_ids: tuple[str, ...]) -> pa.Table:
    wanted = set(feature_ids)
    if len(wanted) < len(feature_ids):
        twice = sorted(gene for gene, n_listed in Counter(feature_ids).items() if n_listed > 1)
        raise BadInput(f"genes.feature_ids: listed twice: {shown_names(twice, N_NAMED)}; list each gene once")
    unknown = sorted(wanted - set(var["feature_id"].to_pylist()))
    if unknown:
        named = shown_names(unknown, N_NAMED)
        raise BadInput(
            f"genes.feature_ids: {len(unknown)} of {len(wanted)} are not in var of this Census: {named}; "
            "give feature_id values (Ensembl ids without version), not gene names"
        )
    return var.filter(pa.array([gene in wanted for gene in var["feature_id"].to_pylist()]))
