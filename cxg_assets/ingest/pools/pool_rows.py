"""Reads the cells of a pool tile by tile, and gives them in the order of their chunks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cxg_assets.ingest.census.tiles import TILE
from cxg_assets.ingest.plan.chunk_plan import Chunk
from cxg_assets.ingest.pools.packed_rows import PackedRows, unpack_into
from cxg_assets.ingest.x.blocks import BLOCK_NNZ, Block
from cxg_assets.ingest.x.csr import CsrRows

ROWS_AT_ONCE = 2_048
"""Rows that are copied out of a pool at once: 26 MB of usual cells."""


@dataclass(frozen=True)
class PoolBlock(Block):
    """The rows of a pool, or of what is wanted of it."""

    pool: int


def pool_blocks(chunks: Sequence[Chunk], pool_obs: int | None) -> Iterator[PoolBlock] | None:
    """The rows of chunks that are read together: those of each pool. None for chunks in census order.

    Args:
        chunks: Chunks in plan order, whose rows follow each other.
        pool_obs: Cells of a pool.
    """
    return None if pool_obs is None else _pool_blocks(chunks, pool_obs)


def _pool_blocks(chunks: Sequence[Chunk], pool_obs: int) -> Iterator[PoolBlock]:
    start = stop = 0
    for number, chunk in enumerate(chunks):
        stop += chunk.n_obs
        if number + 1 < len(chunks) and chunks[number + 1].pool == chunk.pool:
            continue
        # A chunk that is larger than a pool is several of them.
        assert chunk.pool is not None
        for pool, first in enumerate(range(start, stop, pool_obs), chunk.pool):
            yield PoolBlock(first, min(first + pool_obs, stop), pool)
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


@dataclass(frozen=True, eq=False)
class PoolRows:
    """The rows of a pool, held as they were read.

    Attributes:
        pieces: Rows of X in the order of their joinids.
        order: (n_rows,) int64: which of them each row is.
        dtype: Type of the layer's values.
    """

    pieces: Sequence[PackedRows]
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
        ends = np.cumsum([piece.n_rows for piece in self.pieces])
        piece_of = np.searchsorted(ends, wanted, side="right")
        row_of = wanted - (ends - [piece.n_rows for piece in self.pieces])[piece_of]
        here = [(self.pieces[number], np.flatnonzero(piece_of == number)) for number in np.unique(piece_of)]
        lengths = np.empty(len(wanted), np.int64)
        for piece, rows in here:
            lengths[rows] = piece.lengths[row_of[rows]]
        indptr = np.append(0, np.cumsum(lengths))
        indices = np.empty(indptr[-1], np.int32)
        data = np.empty(indptr[-1], self.dtype)
        for piece, rows in here:
            unpack_into(piece, row_of[rows], indptr[rows], indices, data)
        return CsrRows(indptr, indices, data)
