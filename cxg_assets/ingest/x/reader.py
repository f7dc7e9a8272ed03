"""Reads rows of X from one open array."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.distinct import n_distinct
from cxg_assets.ingest.census.tiles import TILE
from cxg_assets.ingest.errors import CxgError, Unreachable
from cxg_assets.ingest.storage.retry import Patience
from cxg_assets.ingest.storage.s3_errors import explain, is_transient
from cxg_assets.ingest.x.csr import CsrBuilder, CsrRows

if TYPE_CHECKING:
    import tiledbsoma


BUFFER_BYTES = 32 * 2**20
"""Bytes TileDB holds for each of the three columns of a read."""

SPARSE = 1.5
"""Tiles covered for each tile needed, up to which a slice is cheaper than points."""

PATIENCE = Patience(limit_seconds=120.0)
"""For one block, on top of TileDB's own retries of each request."""


class XReader:
    """One layer of one organism, open for the life of a worker.

    The counts that come back are not checked against obs: its `nnz` speaks of all genes and of X/raw.
    """

    def __init__(self, array: "tiledbsoma.SparseNDArray", gene_joinids: np.ndarray) -> None:
        """Prepares to read.

        Args:
            array: The open X array of the layer; it must stay open.
            gene_joinids: (n_vars,) int64 soma_joinids of the genes in any order, each once: the columns of what is
                read. A column of -1 is no gene's and stays empty; one at least is a gene's.
        """
        import tiledbsoma

        self._array = array
        self._dtype = np.dtype(self._array.schema.field("soma_data").type.to_pandas_dtype())
        n_vars_before = self._array.shape[1]
        self._column_of = np.full(n_vars_before, -1, dtype=np.int32)
        columns = np.flatnonzero(gene_joinids >= 0)
        self._column_of[gene_joinids[columns]] = columns.astype(np.int32)
        self._genes = _coordinates(np.sort(gene_joinids[columns]))
        tiledbsoma.tiledbsoma_stats_enable()  # for `costs.counters`; costs nothing that can be measured

    @property
    def dtype(self) -> np.dtype:
        """Type of the layer's values."""
        return self._dtype

    @property
    def n_columns(self) -> int:
        """Columns of the array, wanted or not."""
        return len(self._column_of)

    @property
    def share(self) -> float:
        """Share of a row of tiles that a read decodes: less than 1 when few genes are wanted."""
        return self._genes.n_tiles / -(-len(self._column_of) // TILE)

    def read(self, joinids: np.ndarray) -> CsrRows:
        """Reads cells, in the order given.

        Args:
            joinids: (n_rows,) int64 soma_joinids, each once, in any order.

        Raises:
            Unreachable: The Census's store did not give them, as often as TileDB asked.
            CxgError: They cannot be read; the message has TileDB's reason.
        """
        import tiledbsoma

        cells = _coordinates(np.sort(joinids))
        builder = CsrBuilder(joinids, self._column_of, self._dtype, exact=cells.exact and self._genes.exact)
        try:
            for table in self._array.read((cells.soma, self._genes.soma)).tables():
                builder.add(table)
        except tiledbsoma.SOMAError as error:
            kind = Unreachable if is_transient(error) else CxgError
            raise kind(
                f"cannot read cells {joinids.min()} to {joinids.max()} of {self._array.uri}: {explain(error)}"
            ) from error
        return builder.build()

    def read_patiently(self, joinids: np.ndarray) -> tuple[CsrRows, int]:
        """The same, begun anew for as long as `PATIENCE` lasts where the store did not answer; and how often it was."""
        return PATIENCE.call(lambda: self.read(joinids), lambda error: isinstance(error, Unreachable))


@dataclass(frozen=True)
class _Coordinates:
    """What SOMA is asked for along one dimension.

    Attributes:
        soma: A slice, both ends included, or points.
        n_tiles: Tiles that are decoded for it.
        exact: Nothing but what is wanted is in it.
    """

    soma: slice | pa.Array
    n_tiles: int
    exact: bool


def _coordinates(wanted: np.ndarray) -> _Coordinates:
    """The cheaper way to ask for sorted joinids: points, or the slice from the first to the last.

    A tile costs up to three times as much to read by points as whole, so a slice with points to drop is cheaper, unless
    many of the tiles it covers hold nothing that is wanted (measured: docs/performance.md).
    """
    first, last = int(wanted[0]), int(wanted[-1])
    n_needed, n_covered = n_distinct(wanted // TILE), last // TILE - first // TILE + 1
    if n_covered <= SPARSE * n_needed:
        return _Coordinates(slice(first, last), n_covered, exact=last - first + 1 == len(wanted))
    return _Coordinates(pa.array(wanted), n_needed, exact=True)
