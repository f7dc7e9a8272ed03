"""Which genes of var a subset keeps."""

from collections import Counter

import pyarrow as pa

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filter_watch import FilterWatch
from cxg_assets.ingest.filters import parse_filter
from cxg_assets.ingest.label_hints import shortened
from cxg_assets.ingest.spec import GeneSelection

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
    return kept if selection.value_filter is None else _select_passing(kept, selection.value_filter)


def _select_passing(var: pa.Table, value_filter: str) -> pa.Table:
    where = "genes.value_filter"
    gene_filter = parse_filter(value_filter, var.schema, where=where)
    batches = var.to_batches()
    masks = [pa.array(gene_filter.mask(batch)) for batch in batches]
    kept = var.filter(pa.chunked_array(masks, type=pa.bool_()))
    if kept.num_rows == 0:
        watch = FilterWatch(gene_filter)
        for batch in batches:
            watch.see(batch, 0)
        passes = f"no gene of {var.num_rows:,} passes {shortened(repr(value_filter))}"
        raise BadInput(f"{where}: {passes}; {watch.why_nothing('gene')}")
    return kept


def _select_ids(var: pa.Table, feature_ids: tuple[str, ...]) -> pa.Table:
    wanted = set(feature_ids)
    if len(wanted) < len(feature_ids):
        twice = sorted(gene for gene, n_listed in Counter(feature_ids).items() if n_listed > 1)
        raise BadInput(f"genes.feature_ids: listed twice: {_some(twice)}; list each gene once")
    unknown = sorted(wanted - set(var["feature_id"].to_pylist()))
    if unknown:
        raise BadInput(
            f"genes.feature_ids: {len(unknown)} of {len(wanted)} are not in var of this Census: {_some(unknown)}; "
            "give feature_id values (Ensembl ids without version), not gene names"
        )
    return var.filter(pa.array([gene in wanted for gene in var["feature_id"].to_pylist()]))


def _some(names: list[str]) -> str:
    more = len(names) - N_NAMED
    return ", ".join(names[:N_NAMED]) + (f" and {more} more" if more > 0 else "")
