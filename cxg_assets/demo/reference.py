"""The package data: gene tables and the 559 real reference cells. `scripts/distil_reference.py` makes the files."""

from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

# An lncRNA that fewer of the reference cells express is one that an older gene reference may not know.
_RARE_LNCRNA_CELL_SHARE = 0.10


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """What the cells of one organism are drawn from.

    Attributes:
        genes: feature_id, feature_name, feature_type (string) and feature_length (int64), one row a gene in var order.
        indptr: int64, (n_cells + 1,): where each reference cell starts in `var_joinid` and `count`.
        var_joinid: uint16, ascending within a cell.
        count: uint16, raw counts, all above 0.
        cells_by_type: Cell type label -> reference cells of that type, int64.
        is_rare_lncrna: bool, (n_vars,).
    """

    genes: pa.Table
    indptr: npt.NDArray[np.int64]
    var_joinid: npt.NDArray[np.uint16]
    count: npt.NDArray[np.uint16]
    cells_by_type: dict[str, npt.NDArray[np.int64]]
    is_rare_lncrna: npt.NDArray[np.bool_]

    @property
    def n_vars(self) -> int:
        """Number of genes."""
        return self.genes.num_rows


def load_reference(organism: str) -> Reference:
    """Load the reference of an organism.

    Mouse cells are the human ones with each gene replaced by its one-to-one orthologue, a stand-in good enough for a
    second organism in a demo: the genes are real mouse genes, the cells are not mouse cells.

    Args:
        organism: As the Census spells it.
    """
    genes = _read(f"genes_{organism}.parquet")
    cells = _read("reference_cells.parquet")
    joinids = cells["var_joinid"].combine_chunks()
    indptr = joinids.offsets.to_numpy().astype(np.int64)
    var_joinid = joinids.values.to_numpy()
    count = cells["count"].combine_chunks().values.to_numpy()
    if "human_joinid" in genes.column_names:
        indptr, var_joinid, count = _to_orthologues(genes["human_joinid"].to_numpy(), indptr, var_joinid, count)
        genes = genes.drop_columns("human_joinid")

    cell_type = np.asarray(cells["cell_type"].to_pylist(), dtype=object)
    n_cells_with_gene = np.bincount(var_joinid, minlength=genes.num_rows)
    is_lncrna = np.asarray(genes["feature_type"].to_pylist(), dtype=object) == "lncRNA"
    return Reference(
        genes=genes.set_column(3, "feature_length", pc.cast(genes["feature_length"], pa.int64())),
        indptr=indptr,
        var_joinid=var_joinid,
        count=count,
        cells_by_type={label: np.flatnonzero(cell_type == label) for label in sorted(set(cell_type))},
        is_rare_lncrna=is_lncrna & (n_cells_with_gene < _RARE_LNCRNA_CELL_SHARE * len(cell_type)),
    )


def _read(name: str) -> pa.Table:
    """Read a file of the package data, with dictionaries decoded."""
    with resources.as_file(resources.files("cxg_assets.demo") / "data" / name) as path:
        table = pq.read_table(path)
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, pc.cast(table[field.name], pa.string()))
    return table


def _to_orthologues(
    human_joinid: npt.NDArray[np.int32],
    indptr: npt.NDArray[np.int64],
    var_joinid: npt.NDArray[np.uint16],
    count: npt.NDArray[np.uint16],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """Return the reference cells in the genes of another organism; genes without an orthologue are dropped.

    `human_joinid` is the row of the human orthologue of each gene of the other organism, -1 for none.
    """
    own_joinid = np.full(1 << 16, -1, dtype=np.int64)
    has_orthologue = human_joinid >= 0
    own_joinid[human_joinid[has_orthologue]] = np.flatnonzero(has_orthologue)
    cell = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    mapped = own_joinid[var_joinid]
    is_kept = mapped >= 0
    cell, mapped, count = cell[is_kept], mapped[is_kept], count[is_kept]
    order = np.lexsort((mapped, cell))
    new_indptr = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=len(indptr) - 1))]).astype(np.int64)
    return new_indptr, mapped[order].astype(np.uint16), count[order]
