"""The genes of a vocabulary, in its order; those that the Census does not have are padded: they are zero in X.

A padded gene has the soma_joinid `PADDED`, which is no gene's, and what the vocabulary calls it as its feature_id. All
else that var tells of genes is 0, empty or missing.
"""

import pyarrow as pa
import pyarrow.compute as pc

from cxg_assets.ingest.errors import BadInput, shown_names
from cxg_assets.ingest.gene_selection import REFUSE, GeneSelection, without_version
from cxg_assets.ingest.genes.names import N_NAMED, find_genes

PADDED = -1
"""soma_joinid of genes that the Census does not have."""

_WHERE = "genes.vocabulary"


def genes_of_vocabulary(var: pa.Table, selection: GeneSelection) -> pa.Table:
    """One row for each gene of the vocabulary, in its order, with the columns of var.

    Args:
        var: All genes, (n_vars, columns).
        selection: Has a vocabulary.

    Raises:
        BadInput: A gene is listed twice, a name stands for several genes, no gene is in var, or not every gene is and
            padding is refused.
    """
    vocabulary = selection.vocabulary or ()
    rows = find_genes(var, vocabulary, _WHERE)
    absent = [without_version(gene) for gene, row in zip(vocabulary, rows, strict=True) if row is None]
    if absent and (selection.absent == REFUSE or len(absent) == len(vocabulary)):
        n_genes = "none of" if len(absent) == len(vocabulary) else f"{len(absent):,} of"
        how = "take them out" if selection.absent == REFUSE else "is it of this organism?"
        padded = ", or pad them (genes.absent: pad)" if selection.absent == REFUSE else ""
        raise BadInput(
            f"{_WHERE}: {n_genes} {len(vocabulary):,} genes {'is' if len(absent) == len(vocabulary) else 'are not'} in "
            f"var of this Census: {shown_names(absent, N_NAMED)}; {how}{padded}"
        )
    taken = var.take(pa.array(rows, pa.int64()))
    return _padded(taken, pa.array([row is None for row in rows]), absent) if absent else taken


def padded_genes(genes: pa.Table) -> list[str]:
    """feature_ids of the genes of a subset that the Census does not have, in their order.

    Args:
        genes: Genes of a subset, with `soma_joinid` and `feature_id`.
    """
    is_padded = pc.call_function("equal", [genes["soma_joinid"], pa.scalar(PADDED, pa.int64())])
    return genes.filter(is_padded)["feature_id"].to_pylist()


def padding_warnings(genes: pa.Table) -> list[str]:
    """Names the genes of a vocabulary that are padded.

    Args:
        genes: Genes of a subset.
    """
    absent = padded_genes(genes)
    if not absent:
        return []
    one = len(absent) == 1
    return [
        f"{_WHERE}: {len(absent):,} of {genes.num_rows:,} genes {'is' if one else 'are'} not in var of this Census and "
        f"{'is a column' if one else 'are columns'} of zeros: {shown_names(absent, N_NAMED)}"
    ]


def _padded(taken: pa.Table, is_absent: pa.Array, absent: list[str]) -> pa.Table:
    """Fills the rows of genes that are absent, all of whose values are missing."""
    for place, field in enumerate(taken.schema):
        column = taken[field.name].combine_chunks()
        if field.name == "feature_id":
            column = pc.call_function("replace_with_mask", [column, is_absent, pa.array(absent).cast(field.type)])
        elif (value := _value_of_absent(field)) is not None:
            column = pc.call_function("if_else", [is_absent, pa.scalar(value, field.type), column])
        taken = taken.set_column(place, field, column)
    return taken


def _value_of_absent(field: pa.Field) -> object:
    """What a column of var holds for a gene that is not in it; None where the value is missing, as in dictionaries."""
    if field.name == "soma_joinid":
        return PADDED
    kind = field.type
    if pa.types.is_boolean(kind):
        return False
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return 0
    return "" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None
