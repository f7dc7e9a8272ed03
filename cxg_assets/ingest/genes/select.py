"""Which genes of var a subset keeps, as far as var decides it."""

import pyarrow as pa
import pyarrow.compute as pc

from cxg_assets.ingest.errors import BadInput, shown, shown_names
from cxg_assets.ingest.filters.label_hints import unknown_label
from cxg_assets.ingest.filters.value_filter import ValueFilter, parse_filter
from cxg_assets.ingest.filters.watch import FilterWatch
from cxg_assets.ingest.gene_selection import GeneSelection
from cxg_assets.ingest.genes.names import N_NAMED, find_genes
from cxg_assets.ingest.genes.vocabulary import genes_of_vocabulary

_WHERE = "genes.value_filter"
_TYPE = "feature_type"


def select_genes(var: pa.Table, selection: GeneSelection | None) -> pa.Table:
    """The rows of var that a selection keeps, in var's order or that of its vocabulary.

    What the cells of a subset decide, `measured_in` and `highly_variable`, is not applied here.

    Args:
        var: All genes, (n_vars, columns), with `soma_joinid` and `feature_id`.
        selection: None keeps all.

    Raises:
        BadInput: The filter is wrong, a gene is unknown, ambiguous or listed twice, there is no such type, or no gene
            is left.
    """
    if selection is None:
        return var
    if selection.vocabulary is not None:
        return genes_of_vocabulary(var, selection)
    kept = var if selection.feature_ids is None else _select_listed(var, selection.feature_ids)
    gene_filter = parse_gene_filter(selection, var.schema)
    if gene_filter is not None:
        kept = _select_passing(kept, gene_filter)
    return _select_types(var, kept, selection.feature_type) if selection.feature_type else kept


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


def _select_listed(var: pa.Table, listed: tuple[str, ...]) -> pa.Table:
    rows = find_genes(var, listed, "genes.feature_ids")
    unknown = sorted(gene for gene, row in zip(listed, rows, strict=True) if row is None)
    if unknown:
        named = shown_names(unknown, N_NAMED)
        raise BadInput(
            f"genes.feature_ids: {len(unknown)} of {len(listed)} are not in var of this Census: {named}; "
            "give feature_id or feature_name values as var has them, or take them out"
        )
    return var.take(pa.array(sorted(row for row in rows if row is not None), pa.int64()))


def _select_types(var: pa.Table, kept: pa.Table, types: tuple[str, ...]) -> pa.Table:
    where = f"genes.{_TYPE}"
    if _TYPE not in var.schema.names:
        raise BadInput(
            f"{where}: var of this Census has no {_TYPE}, as in earlier releases; it has {', '.join(var.schema.names)}"
        )
    there = sorted(set(var[_TYPE].to_pylist()) - {None, ""})
    unknown = [kind for kind in types if kind not in there]
    if unknown:
        raise BadInput(f"{where}: {unknown_label('gene', _TYPE, unknown[0], there)}")
    of_kept = kept[_TYPE]
    if pa.types.is_dictionary(of_kept.type):
        of_kept = of_kept.cast(of_kept.type.value_type)
    is_kept = pc.call_function("is_in", [of_kept], pc.SetLookupOptions(pa.array(types).cast(of_kept.type)))
    found = kept.filter(is_kept)
    if found.num_rows == 0:
        raise BadInput(
            f"{where}: none of the {kept.num_rows:,} other selected genes is {' or '.join(types)}; loosen it"
        )
    return found
