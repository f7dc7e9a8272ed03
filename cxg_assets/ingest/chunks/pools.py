"""Reads the cells of a pool tile by tile, and gives them in the order of their chunks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cxg_assets.ingest.census.tiles import TILE
from cxg_assets.ingest.plan.chunk_plan import Chunk
from cxg_assets.ingest.x.blocks import BLOCK_NNZ, Block
from cxg_assets.ingest.x.csr import CsrRows

ROWS_AT_ONCE = 2_048
"""Rows that are copied out of a pool at once: 26 MB of usual cells."""


def pool_blocks(chunks: Sequence[Chunk], pool_obs: int | None) -> Iterator[Block] | None:
    """The rows of chunks that are read together: those of each pool. None for chunks in census order.

    Args:
        chunks: Chunks in plan order, whose rows follow each other.
        pool_obs: Cells of a pool.
    """
    return None if pool_obs is None else _pool_blocks(chunks, pool_obs)


def _pool_blocks(chunks: Sequence[Chunk], pool_obs: int) -> Iterator[Block]:
    start = stop = 0
    for number, chunk in enumerate(chunks):
        stop += chunk.n_obs
        if number + 1 < len(chunks) and chunks[number + 1].pool == chunk.pool:
            continue
        # A chunk that is larger than a pool is several of them.
        for first in range(start, stop, pool_obs):
            yield Block(first, min(first + pool_obs, stop))
        start = stop


def tile_blocks(joinids: np.ndarray, nnz: np.ndarray, budget: int = BLOCK_NNZ) -> Iterator[Block]:
    """Cuts cells of scattered rows of tiles into blocks of adjacent ones, each of which is cheap to read as a slice.

    Args:
        joinids: (n_rows,) int64 soma_joinids, ascending.
        nnz: (n_rows,) expected non-zeros of each row.
        budget: Non-zeros from which a block ends with its row of tiles.
    """
    tiles = joinids // TILE
    edges = np.flatnonzero(np.append(True, np.diff(tiles) != 0))
    start, n_held = 0, 0.0
    for edge, stop in zip(edges, np.append(edges[1:], len(tiles)), strict=True):
        if edge and (n_held >= budget or tiles[edge] != tiles[edge - 1] + 1):
            yield Block(start, int(edge))
            start, n_held = int(edge), 0.0
        n_held += float(nnz[edge:stop].sum())
    yield Block(start, len(tiles))


def packed(rows: CsrRows) -> CsrRows:
    """The same rows in half the memory, where the columns and the counts fit into 16 bits."""
    indices = rows.indices.astype(np.uint16)
    if not np.array_equal(indices, rows.indices):
        indices = rows.indices
    with np.errstate(invalid="ignore"):
        data = rows.data.astype(np.uint16)
    if not np.array_equal(data, rows.data):
        data = rows.data
    return CsrRows(rows.indptr, indices, data)


@dataclass(frozen=True, eq=False)
class PoolRows:
    """The rows of a pool, held as they were read.

    Attributes:
        pieces: Rows of X, `packed`, in the order of their joinids.
        order: (n_rows,) int64: which of them each row is.
        dtype: Type of the layer's values.
    """

    pieces: Sequence[CsrRows]
    order: np.ndarray
    dtype: np.dtype

    @property
    def n_rows(self) -> int:
        """Rows held."""
        return len(self.order)

    def cut(self, start: int, stop: int) -> Iterator[CsrRows]:
        """Rows start … stop-1, `ROWS_AT_ONCE` at a time, each as a copy."""
        for first in range(start, stop, ROWS_AT_ONCE):
            yield self._rows(self.order[first : min(first + ROWS_AT_ONCE, stop)])

    def _rows(self, wanted: np.ndarray) -> CsrRows:
        from cxg_assets.ingest import loops

        ends = np.cumsum([piece.n_rows for piece in self.pieces])
        piece_of = np.searchsorted(ends, wanted, side="right")
        row_of = wanted - (ends - [piece.n_rows for piece in self.pieces])[piece_of]
        lengths = np.empty(len(wanted), np.int64)
        for number in np.unique(piece_of):
            is_here, indptr = piece_of == number, self.pieces[number].indptr
            lengths[is_here] = indptr[row_of[is_here] + 1] - indptr[row_of[is_here]]
        indptr = np.append(0, np.cumsum(lengths))
        indices = np.empty(indptr[-1], np.int32)
        data = np.empty(indptr[-1], self.dtype)
        for number in np.unique(piece_of):
            piece, is_here = self.pieces[number], piece_of == number
            to = indptr[:-1][is_here]
            loops.copy_rows(piece.indptr, piece.indices, piece.data, row_of[is_here], to, indices, data)
        return CsrRows(indptr, indices, data)
