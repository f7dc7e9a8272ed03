"""Samples: a seeded part of the cells that pass, a cap for each group, and groups that are too small left out."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numba
import numpy as np
import pyarrow as pa

from cxg_assets.ingest.choice.draws import Batches, find_thresholds, hash_rows
from cxg_assets.ingest.choice.groups import DonorCounts, Groups
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.sampling import Sample

# Cap and share go by different orders: cells that a cap leaves of a large group all come early in the cap's order.
_CAP, _SHARE = 0, 1


@dataclass(frozen=True, kw_only=True, eq=False)
class SampledCells:
    """A sample of particular cells: tells of each whether it is kept, in memory that grows with the groups only.

    Attributes:
        sample: What was asked for.
        n_before: Cells of each group, (n_groups,) int64.
        n_kept: Kept cells of each group before `fraction` and `n_obs`.
        n_obs: Kept cells.
    """

    sample: Sample
    n_before: np.ndarray
    n_kept: np.ndarray
    n_obs: int
    _groups: Groups = field(repr=False)
    _group_thresholds: np.ndarray = field(repr=False)
    _threshold: np.uint64

    def mask(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return whether each row is kept, (n,) bool; the batch has `sample.columns`, its rows were among the cells."""
        is_kept = hash_rows(batch, self.sample.seed, _SHARE) <= self._threshold
        if not self.sample.by:
            return is_kept
        return is_kept & _is_left(self.sample, batch, self._groups.of(batch), self.n_kept, self._group_thresholds)

    def labels(self) -> list[tuple[object, ...]]:
        """Return the values of each group's columns."""
        return self._groups.labels()


def sample_cells(sample: Sample, batches: Batches) -> SampledCells:
    """Decide which cells a sample keeps. Obs is read one to three times.

    Raises:
        BadInput: obs does not have a column, or no cell is left.
    """
    groups = Groups(sample.by, "sample.by")
    n_cells, n_donors = _count(sample, groups, batches)
    n_wanted = n_cells.copy()
    if sample.at_least is not None:
        n_wanted[n_cells < sample.at_least] = 0
    if sample.min_donors is not None:
        n_wanted[n_donors < sample.min_donors] = 0
    if sample.at_most is not None:
        np.minimum(n_wanted, sample.at_most, out=n_wanted)

    def cells() -> Iterable[tuple[np.ndarray, np.ndarray]]:
        return ((groups.of(batch), hash_rows(batch, sample.seed, _CAP)) for batch in batches())

    group_thresholds = find_thresholds(cells, n_cells, n_wanted)
    n_left = int(n_wanted.sum())
    n_obs = _n_obs(sample, n_left)
    if n_obs == 0:
        largest = int(n_cells.max(initial=0))
        raise BadInput(
            f"sample: no cell is left of {int(n_cells.sum()):,} in {len(n_cells):,} groups, the largest of {largest:,} "
            "cells; lower at_least or min_donors, or raise fraction"
        )

    def kept() -> Iterable[tuple[np.ndarray, np.ndarray]]:
        for batch in batches():
            hashes = hash_rows(batch, sample.seed, _SHARE)
            if sample.by:
                hashes = hashes[_is_left(sample, batch, groups.of(batch), n_wanted, group_thresholds)]
            yield np.zeros(len(hashes), np.int32), hashes

    [threshold] = find_thresholds(kept, np.array([n_left]), np.array([n_obs]))
    return SampledCells(
        sample=sample,
        n_before=n_cells,
        n_kept=n_wanted,
        n_obs=n_obs,
        _groups=groups,
        _group_thresholds=group_thresholds,
        _threshold=threshold,
    )


def _count(sample: Sample, groups: Groups, batches: Batches) -> tuple[np.ndarray, np.ndarray]:
    """Count the cells of each group, and its donors up to `min_donors` if that is given, each (n_groups,) int64."""
    if not sample.by:
        return np.array([sum(batch.num_rows for batch in batches())]), np.zeros(1, np.int64)
    n_cells, donors = np.zeros(0, np.int64), DonorCounts(sample.min_donors or 0)
    for batch in batches():
        of_cells = groups.of(batch)
        n_cells = groups.counted(n_cells, of_cells)
        if sample.min_donors is not None:
            if "donor_id" not in batch.schema.names:
                raise BadInput("sample.min_donors: obs has no donor_id; take min_donors out")
            donors.add(of_cells, groups.n, batch["donor_id"])
    return n_cells, donors.counts[: groups.n]


def _n_obs(sample: Sample, n_left: int) -> int:
    if sample.fraction is not None:
        return round(sample.fraction * n_left)
    return n_left if sample.n_obs is None else min(sample.n_obs, n_left)


def _is_left(
    sample: Sample, batch: pa.RecordBatch, groups: np.ndarray, n_wanted: np.ndarray, thresholds: np.ndarray
) -> np.ndarray:
    """Return which rows their groups keep, (n,) bool."""
    if sample.at_most is None:
        return n_wanted[groups] > 0
    return _are_up_to(hash_rows(batch, sample.seed, _CAP), groups, n_wanted, thresholds)


@numba.njit(nogil=True, cache=True)
def _are_up_to(hashes, groups, n_wanted, thresholds):
    are = np.empty(len(hashes), np.bool_)
    for i in range(len(hashes)):
        are[i] = n_wanted[groups[i]] > 0 and hashes[i] <= thresholds[groups[i]]
    return are
