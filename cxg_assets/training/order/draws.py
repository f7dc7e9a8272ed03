"""Orders and draws that depend on seeds alone: not on the machine, the number of threads or the version of numpy."""

import numpy as np

from cxg_assets.ingest.choice.draws import hash_cells

PHASE, RUNS, ROWS, DRAWS = 10, 11, 12, 13
"""Purposes of `hash_cells`; splits, samples and orders of plans have others."""


def hashes(n: int, seed: int, epoch: int, purpose: int, first: int = 0) -> np.ndarray:
    """(n,) uint64, uniform, those of the numbers from `first` on."""
    [key] = hash_cells(np.array([epoch], np.int64), seed, purpose)
    return hash_cells(np.arange(first, first + n, dtype=np.int64), int(key >> np.uint64(1)), purpose)


def shuffled(n: int, seed: int, epoch: int, purpose: int, first: int = 0) -> np.ndarray:
    """The numbers from 0 to n-1 in a random order, (n,) int64."""
    return np.argsort(hashes(n, seed, epoch, purpose, first), kind="stable")


def drawn_counts(weights: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """How often each cell is drawn, when as many as there are are drawn with replacement; (n,) int32.

    Args:
        weights: (n,) float, not negative, not all 0.
        seed: Of the user.
        epoch: Of the draw.
    """
    ends = np.cumsum(weights, dtype=np.float64)
    uniform = hashes(len(weights), seed, epoch, DRAWS) / 2.0**64
    # The largest hash rounds to 1.0.
    last = np.flatnonzero(weights)[-1]
    chosen = np.minimum(np.searchsorted(ends, np.sort(uniform) * ends[-1], side="right"), last)
    return np.bincount(chosen, minlength=len(weights)).astype(np.int32)
