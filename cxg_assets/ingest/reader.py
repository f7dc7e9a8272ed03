"""Reads rows of X: one open array for a worker's whole life, a block of rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census import Census
from cxg_assets.ingest.csr import CsrBuilder, CsrRows
from cxg_assets.ingest.errors import CxgError

TILE = 2048
"""Rows and columns of an X tile in the Census (its builder's space tiles): the least that a read decodes."""

BLOCK_NNZ = 8_000_000
"""Non-zeros read at once: about 4,700 cells, some 0.3 GiB of points and matrix while two blocks are in flight."""

BUFFER_BYTES = 32 * 2**20
"""Bytes TileDB holds for each of the three columns of a read."""

NNZ_PER_CELL = 2_000
"""Taken for a cell's nnz where obs does not tell it: the upper end of what human releases have."""


@dataclass(frozen=True)
class Block:
    """A run of consecutive rows, start … stop-1, that is read at once."""

    start: int
    stop: int


def plan_blocks(joinids: np.ndarray, nnz: np.ndarray, budget: int = BLOCK_NNZ) -> Iterator[Block]:
    """Cuts rows into blocks of at most `budget` non-zeros, at tile edges where it can.

    Args:
        joinids: (n_rows,) int64 soma_joinids in reading order.
        nnz: (n_rows,) expected non-zeros of each row.
        budget: Non-zeros of a block; a single row may have more.

    Yields:
        Blocks that cover all rows in order.
    """
    total = np.cumsum(nnz, dtype=np.int64)
    tiles = joinids // TILE
    start, n_rows = 0, len(joinids)
    while start < n_rows:
        read = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, read + budget, side="right")), start + 1)
        if stop < n_rows:
            # A tile that two blocks share is decoded twice: end this block where the tile of the next row begins.
            edge = stop
            while edge > start and tiles[edge - 1] == tiles[stop]:
                edge -= 1
            stop = edge if edge > start else stop
        yield Block(start, stop)
        start = stop


class XReader:
    """One layer of one organism, open for the life of a worker.

    The counts that come back are not checked against obs: its `nnz` speaks of all genes and of X/raw.
    """

    def __init__(self, census: Census, organism: str, layer: str, gene_joinids: np.ndarray) -> None:
        """Opens the layer.

        Args:
            census: An open Census; it must stay open.
            organism: As the Census spells it.
            layer: Name of the X layer.
            gene_joinids: (n_vars,) int64 soma_joinids of the genes, ascending: the columns of what is read.

        Raises:
            BadInput: The Census has no such organism or layer.
        """
        self._array = census.x(organism, layer)
        self._dtype = np.dtype(self._array.schema.field("soma_data").type.to_pandas_dtype())
        n_vars_before = self._array.shape[1]
        self._column_of = np.full(n_vars_before, -1, dtype=np.int32)
        self._column_of[gene_joinids] = np.arange(len(gene_joinids), dtype=np.int32)
        self._genes = slice(None) if len(gene_joinids) == n_vars_before else pa.array(gene_joinids)

    @property
    def dtype(self) -> np.dtype:
        """Type of the layer's values."""
        return self._dtype

    def read(self, joinids: np.ndarray) -> CsrRows:
        """Reads cells, in the order given.

        Args:
            joinids: (n_rows,) int64 soma_joinids, each once, in any order.

        Raises:
            CxgError: TileDB could not read them; the message has its reason.
        """
        import tiledbsoma

        builder = CsrBuilder(joinids, self._column_of, self._dtype)
        try:
            for table in self._array.read((_cells(joinids), self._genes)).tables():
                builder.add(table)
        except tiledbsoma.SOMAError as error:
            raise CxgError(
                f"cannot read cells {joinids.min()} to {joinids.max()} of {self._array.uri}: {error}"
            ) from error
        return builder.build()


def _cells(joinids: np.ndarray) -> slice | pa.Array:
    """SOMA coordinates for some cells: a slice (both ends included) when they are contiguous, points otherwise."""
    first, last = int(joinids.min()), int(joinids.max())
    if last - first + 1 == len(joinids):
        return slice(first, last)
    return pa.array(np.sort(joinids))
