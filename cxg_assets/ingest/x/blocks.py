"""Blocks: which rows of X are read at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cxg_assets.ingest.census.tiles import TILE

BLOCK_NNZ = 6_000_000
"""Non-zeros read at once: one or two rows of X tiles, some 0.25 GiB of points and matrix with two blocks in flight."""


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
    # Where the next part of a split begins, far from the end of this one.
    ends = np.append(np.flatnonzero(joinids[1:] < joinids[:-1]) + 1, n_rows)
    while start < n_rows:
        read = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, read + budget, side="right")), start + 1)
        end = int(ends[np.searchsorted(ends, start, side="right")])
        if stop >= end:
            stop = end
        else:
            # A tile that two blocks share is decoded twice: end this block where the tile of the next row begins.
            edge = stop
            while edge > start and tiles[edge - 1] == tiles[stop]:
                edge -= 1
            stop = edge if edge > start else stop
        yield Block(start, stop)
        start = stop
