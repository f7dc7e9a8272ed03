"""Draws cells by a seeded order of them.

The order is a hash of soma_joinid, so that it does not depend on how obs is cut into batches, on the machine or on
which other cells are selected.
"""

from collections.abc import Callable, Iterable

import numba
import numpy as np
import pyarrow as pa

Batches = Callable[[], Iterable[pa.RecordBatch]]
"""Gives the same record batches of obs at every call, e.g. `FeatherFile.batches`."""

_GOLDEN, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_27, _30, _31 = (np.uint64(n) for n in (27, 30, 31))
_WINDOW = 6.0
"""Standard deviations on either side of a threshold's expected place: 1 search in 500 million needs a second pass."""


def hash_cells(joinids: np.ndarray, seed: int, purpose: int) -> np.ndarray:
    """Hash cells, one to one: no two cells share a hash, so an order by it has no ties.

    Args:
        joinids: (n_obs,) int64.
        seed: Of the user; 0 to 2**63 - 1.
        purpose: Sampling and splitting with one seed must not agree: a sample would all be of one part.

    Returns:
        (n_obs,) uint64, uniform.
    """
    return _hash_all(np.ascontiguousarray(joinids, np.int64), np.uint64(seed), np.uint64(purpose + 1))


@numba.njit(nogil=True, cache=True)
def _mix(bits):
    """The finalizer of splitmix64."""
    bits += _GOLDEN
    bits = (bits ^ (bits >> _30)) * _FIRST
    bits = (bits ^ (bits >> _27)) * _SECOND
    return bits ^ (bits >> _31)


@numba.njit(nogil=True, cache=True)
def _hash_all(joinids, seed, purpose):
    key = _mix(seed + _mix(purpose))
    hashes = np.empty(len(joinids), np.uint64)
    for i in range(len(joinids)):
        hashes[i] = _mix(np.uint64(joinids[i]) ^ key)
    return hashes


def hash_rows(batch: pa.RecordBatch, seed: int, purpose: int) -> np.ndarray:
    """Hash the cells of a batch, (n,) uint64; see `hash_cells`."""
    return hash_cells(batch["soma_joinid"].to_numpy(), seed, purpose)


def find_thresholds(
    cells: Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]], n_cells: np.ndarray, n_wanted: np.ndarray
) -> np.ndarray:
    """Find, for each group, the hash up to which as many of its cells lie as are wanted: exactly, in bounded memory.

    Hashes are uniform, so it is known within a few standard deviations where a threshold lies: only hashes in that
    window are kept, some `12 * sqrt(n_wanted)` a group.

    Args:
        cells: Gives, batch by batch and the same at every call, the group (int32) and the hash (uint64) of each cell.
        n_cells: (n_groups,) int64, cells of each group.
        n_wanted: (n_groups,) int64, from 0 to `n_cells`.

    Returns:
        (n_groups,) uint64: the largest hash that is wanted; meaningless where none is.
    """
    last = np.iinfo(np.uint64).max
    thresholds = np.full(len(n_cells), last, np.uint64)
    is_open = (n_wanted > 0) & (n_wanted < n_cells)
    share = n_wanted / np.maximum(n_cells, 1)
    width = _WINDOW * np.sqrt(share * (1 - share) / np.maximum(n_cells, 1)) + 2 / np.maximum(n_cells, 1)
    low, high = (_as_hashes(np.clip(share + sign * width, 0, 1)) for sign in (-1, 1))
    while is_open.any():
        n_below = np.zeros(len(n_cells), np.int64)
        found = []
        for groups, hashes in cells():
            is_near = _below_and_near(groups, hashes, is_open, low, high, n_below)
            found.append((groups[is_near], hashes[is_near]))
        groups, hashes = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.lexsort((hashes, groups))
        groups, hashes = groups[order], hashes[order]
        first, stop = (np.searchsorted(groups, np.arange(len(n_cells)), side=side) for side in ("left", "right"))
        place = first + n_wanted - n_below - 1
        is_found = is_open & (place >= first) & (place < stop)
        thresholds[is_found] = hashes[place[is_found]]
        # A window that missed is opened to all hashes of its group.
        is_open &= ~is_found
        low[is_open], high[is_open] = 0, last
    return thresholds


def _as_hashes(share: np.ndarray) -> np.ndarray:
    """Return the hash below which a share of all hashes lies."""
    return np.where(share >= 1, np.iinfo(np.uint64).max, (np.minimum(share, 1 - 2.0**-53) * 2.0**64).astype(np.uint64))


@numba.njit(nogil=True, cache=True)
def _below_and_near(groups, hashes, is_open, low, high, n_below):
    is_near = np.zeros(len(groups), np.bool_)
    for i in range(len(groups)):
        group = groups[i]
        if is_open[group]:
            if hashes[i] < low[group]:
                n_below[group] += 1
            elif hashes[i] <= high[group]:
                is_near[i] = True
    return is_near
