"""The genes that vary most in some cells: ranked by the Census's own client, which gets X from our reader.

The client's query reads X of many cells into gigabytes, and as points where genes are few, which takes up to twice the
CPU (measured, docs/performance.md). Its formulas get the same values in the same order from blocks of rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.tiles import cell_nnz
from cxg_assets.ingest.errors import BadInput, shown_text
from cxg_assets.ingest.gene_selection import HighlyVariable
from cxg_assets.ingest.x.blocks import plan_blocks
from cxg_assets.ingest.x.reader import XReader

if TYPE_CHECKING:
    import tiledbsoma

_WHERE = "genes.highly_variable"


def require_loess() -> None:
    """Makes sure that the variances can be fitted.

    Raises:
        BadInput: What fits them is not installed.
    """
    try:
        import skmisc.loess  # pyright: ignore[reportMissingImports] # noqa: F401
    except ImportError as error:
        raise BadInput(
            f"{_WHERE}: it needs scikit-misc ({error}); pip install 'cxg_assets[highly-variable]'"
        ) from error


def most_variable(x: "tiledbsoma.SparseNDArray", obs: pa.Table, genes: pa.Table, variable: HighlyVariable) -> pa.Table:
    """The most variable of some genes, in their order. X is read twice.

    Memory: a block of X, obs, and some 64 bytes for each gene of each batch.

    Args:
        x: The open array X/raw.
        obs: The cells in soma_joinid order: soma_joinid, the columns of the batches, and nnz where obs has it.
        genes: Rows of var, in soma_joinid order.
        variable: How many, and by which batches.

    Raises:
        BadInput: There are not more genes than are wanted, what fits the variances is not installed, or they cannot be
            fitted.
        CxgError: X cannot be read.
    """
    require_loess()
    from cellxgene_census.experimental.pp import highly_variable_genes

    if variable.n_top_genes >= genes.num_rows:
        raise BadInput(
            f"{_WHERE}.n_top_genes: {variable.n_top_genes:,} of {genes.num_rows:,} genes that are left; choose fewer"
        )
    joinids = genes["soma_joinid"].to_numpy()
    query: Any = _Query(XReader(x, joinids), obs, joinids)
    try:
        ranked = highly_variable_genes(
            query, n_top_genes=variable.n_top_genes, layer="raw", batch_key=list(variable.batch) or None
        )
    except ValueError as error:
        raise BadInput(
            f"{_WHERE}: the variances of a batch cannot be fitted ({shown_text(str(error))}); take fewer batches, more "
            "cells, or genes with more counts (genes.value_filter: nnz >= 100)"
        ) from error
    kept = ranked.index[ranked["highly_variable"]].to_numpy()
    return genes.filter(pa.array(np.isin(joinids, kept)))


@dataclass(frozen=True, eq=False)
class _Query:
    """What the client asks an axis query for. Its cells and genes are numbered from 0 in their order.

    Attributes:
        reader: Reads X of the genes.
        cells: obs of the cells.
        gene_joinids: (n_vars,) int64 soma_joinids of the genes.
    """

    reader: XReader
    cells: pa.Table
    gene_joinids: np.ndarray

    @property
    def n_obs(self) -> int:
        return self.cells.num_rows

    @property
    def n_vars(self) -> int:
        return len(self.gene_joinids)

    @property
    def indexer(self) -> SimpleNamespace:
        """Numbers of genes are what X tells of them already."""
        return SimpleNamespace(by_var=lambda numbers: numbers.to_numpy())

    @property
    def experiment(self) -> SimpleNamespace:
        return SimpleNamespace(context=None)

    def var_joinids(self) -> np.ndarray:
        return self.gene_joinids

    def obs(self, *, column_names: Sequence[str]) -> SimpleNamespace:
        numbers = pa.chunked_array([pa.array(np.arange(self.n_obs))])
        place = self.cells.schema.get_field_index("soma_joinid")
        cells = self.cells.set_column(place, "soma_joinid", numbers).select(list(column_names))
        return SimpleNamespace(concat=lambda: cells)

    def X(self, _layer: str) -> SimpleNamespace:  # noqa: N802 - the client's name
        return SimpleNamespace(tables=self._tables)

    def _tables(self) -> Iterator[pa.Table]:
        joinids = self.cells["soma_joinid"].to_numpy()
        nnz = cell_nnz(self.cells) * self.reader.share
        for block in plan_blocks(joinids, nnz):
            rows, _ = self.reader.read_patiently(joinids[block.start : block.stop])
            cells = np.repeat(np.arange(block.start, block.stop), np.diff(rows.indptr))
            yield pa.table({"soma_dim_0": cells, "soma_dim_1": rows.indices.astype(np.int64), "soma_data": rows.data})
