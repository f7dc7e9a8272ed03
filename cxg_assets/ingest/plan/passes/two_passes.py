"""Fully shuffled cells: a first pass in census order puts each cell into its pool, a second one makes the chunks.

The cells of a pool are from everywhere in the Census, so that no pass over X can gather one pool after the other. In
the first pass a piece, a run of rows of the subset in census order, is read as cheaply as chunks in that order, and
kept sorted by pool (`pools/piece_file.py`); the second takes the cells of a pool out of all pieces.
"""

from dataclasses import dataclass

import numpy as np

CELLS = 4
"""Purpose of `hash_cells` for the order of cells."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A run of rows of the subset's obs file, in census order.

    Attributes:
        key: Names its file, like `piece-00000`.
        row_start: Its first row.
        row_stop: One past the last row.
    """

    key: str
    row_start: int
    row_stop: int

    @property
    def n_obs(self) -> int:
        """Cells of the piece."""
        return self.row_stop - self.row_start


@dataclass(frozen=True, kw_only=True)
class TwoPasses:
    """How the cells of a plan are cut in both passes.

    Attributes:
        seed: Of the order.
        pool_starts: For each part the hashes of the first cells of its pools, ascending; its first is 0.
        piece_stops: One past the last row of each piece.
    """

    seed: int
    pool_starts: tuple[tuple[int, ...], ...]
    piece_stops: tuple[int, ...]

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The pieces in order."""
        starts = (0, *self.piece_stops)
        return tuple(
            Piece(key=f"piece-{number:05d}", row_start=start, row_stop=stop)
            for number, (start, stop) in enumerate(zip(starts, self.piece_stops, strict=False))
        )

    def pools(self, joinids: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """The pool of each cell, counted over all parts.

        Args:
            joinids: (n,) int64 soma_joinids.
            parts: (n,) int64, the number of each cell's part.
        """
        from cxg_assets.ingest.choice.draws import hash_cells  # numba

        hashes = hash_cells(joinids, self.seed, CELLS)
        pools = np.empty(len(joinids), np.int64)
        n_before = 0
        for part, starts in enumerate(self.pool_starts):
            is_here = parts == part
            pools[is_here] = n_before + np.searchsorted(np.array(starts, np.uint64), hashes[is_here], "right") - 1
            n_before += len(starts)
        return pools
