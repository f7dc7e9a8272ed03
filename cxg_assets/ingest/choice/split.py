"""Splits: which part (train, validation, test) each cell belongs to, without a group in two parts."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.choice.draws import Batches, find_thresholds, hash_rows
from cxg_assets.ingest.choice.groups import Groups, Numbering
from cxg_assets.ingest.errors import BadInput, shown_names
from cxg_assets.ingest.sampling import Split

_PURPOSE = 2
_MAX_SWEEPS = 10

TOLERANCE_POINTS = 1.0
"""How many percentage points a share may be off before that is said."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitCells:
    """A split of particular cells: tells the part of each, in memory that grows with the groups only.

    Attributes:
        split: What was asked for.
        n_obs: Cells of each part, (n_parts,) int64.
        part_of_group: Part of each group, (n_groups,) int64; None where each cell is drawn by itself.
    """

    split: Split
    n_obs: np.ndarray
    part_of_group: np.ndarray | None
    _groups: Groups = field(repr=False)
    _thresholds: np.ndarray | None = field(repr=False)

    def part(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return the number of each row's part, (n,) int64; the batch has `split.columns`."""
        groups = self._groups.of(batch)
        if self.part_of_group is not None:
            return self.part_of_group[groups]
        assert self._thresholds is not None
        return (hash_rows(batch, self.split.seed, _PURPOSE)[:, None] > self._thresholds[groups]).sum(axis=1)

    @property
    def n_obs_of_parts(self) -> dict[str, int]:
        """The cells of each part by its name."""
        return dict(zip(self.split.parts, self.n_obs.tolist(), strict=True))

    @property
    def points_off(self) -> float:
        """By how many percentage points the share of a part is off at most; 0 for lists."""
        if not self.split.shares:
            return 0.0
        return float(100 * np.abs(self.n_obs / self.n_obs.sum() - list(self.split.shares.values())).max())

    def warning(self) -> str | None:
        """Return what is to be said of shares that the groups did not allow."""
        if self.points_off <= TOLERANCE_POINTS:
            return None
        shares = self.n_obs / self.n_obs.sum()
        reached = ", ".join(
            f"{part} has {100 * share:.1f} % instead of {100 * self.split.shares[part]:.1f} %"
            for part, share in zip(self.split.parts, shares.tolist(), strict=True)
        )
        n_groups = 0 if self.part_of_group is None else len(self.part_of_group)
        return (
            f"split.shares: {reached}: the {n_groups:,} groups of {', '.join(self.split.by)} cannot be divided closer. "
            "Split by a column with more values, or ask for other shares"
        )


def split_cells(split: Split, batches: Batches) -> SplitCells:
    """Decide the part of each cell. Obs is read once, and once more for each share where cells are drawn singly.

    Raises:
        BadInput: obs does not have a column or a value that is held out, or a part gets no cell.
    """
    if not split.by:
        found = _split_singly(split, batches)
    else:
        groups, strata = Groups(split.by, "split.by"), _strata(split)
        pairs, n_cells = Numbering(), np.zeros(0, np.int64)
        for batch in batches():
            numbers = pairs.number(groups.of(batch), strata.of(batch))
            n_cells = np.pad(n_cells, (0, pairs.n - len(n_cells))) + np.bincount(numbers, minlength=pairs.n)
        of_pairs, stratum = pairs.pairs()
        part = _listed(split, groups) if split.held_out else _assigned(split, groups, of_pairs, stratum, n_cells)
        n_obs = np.bincount(part[of_pairs], n_cells, len(split.parts)).astype(np.int64)
        found = SplitCells(split=split, n_obs=n_obs, part_of_group=part, _groups=groups, _thresholds=None)
    empty = [name for name, n_obs in zip(split.parts, found.n_obs.tolist(), strict=True) if n_obs == 0]
    if empty:
        raise BadInput(
            f"split: {shown_names(empty)} has no cell of {int(found.n_obs.sum()):,}; "
            "split by a column with more values, or take the part out"
        )
    return found


def _strata(split: Split) -> Groups:
    return Groups(() if split.stratify is None else (split.stratify,), "split.stratify")


def _split_singly(split: Split, batches: Batches) -> SplitCells:
    """Cut each stratum, in the order of its cells' hashes, at the sums of the shares."""
    strata = _strata(split)
    n_cells = np.zeros(0, np.int64)
    for batch in batches():
        of_cells = strata.of(batch)
        n_cells = strata.counted(n_cells, of_cells)

    def cells() -> Iterable[tuple[np.ndarray, np.ndarray]]:
        return ((strata.of(batch), hash_rows(batch, split.seed, _PURPOSE)) for batch in batches())

    ends = np.rint(np.cumsum(list(split.shares.values()))[:-1] * n_cells[:, None]).astype(np.int64)
    # A threshold of no cells is below all hashes; of the 2**64 of them one is 0, which then counts as in the next part.
    thresholds = [
        np.where(end > 0, find_thresholds(cells, n_cells, end), np.uint64(0)) for end in np.ascontiguousarray(ends.T)
    ]
    bounds = np.column_stack([np.zeros(len(n_cells), np.int64), ends, n_cells])
    return SplitCells(
        split=split,
        n_obs=np.diff(bounds, axis=1).sum(axis=0),
        part_of_group=None,
        _groups=strata,
        _thresholds=np.column_stack(thresholds) if thresholds else np.empty((len(n_cells), 0), np.uint64),
    )


def _listed(split: Split, groups: Groups) -> np.ndarray:
    """Return the part of each group, by the lists."""
    part_of = {value: number for number, part in enumerate(split.parts) for value in split.held_out.get(part, ())}
    labels = [str(value) for [value] in groups.labels()]
    unknown = sorted(part_of.keys() - set(labels))
    if unknown:
        part = split.parts[part_of[unknown[0]]]
        raise BadInput(f"split.held_out.{part}: no cell has {split.by[0]} {shown_names(unknown)}; take it out")
    return np.array([part_of.get(label, 0) for label in labels], np.int64)


def _assigned(
    split: Split, groups: Groups, of_pairs: np.ndarray, stratum: np.ndarray, n_cells: np.ndarray
) -> np.ndarray:
    """Give each group to the part whose shares suffer least, large groups first, then move what still lies better.

    A part's distance from its share is `(cells - wanted)² / wanted`, over all cells and over each stratum. Groups of a
    size (by powers of two) come in an order by seed and label, so that another seed is another split, and neither the
    order of obs nor other groups decide which of two is first.
    """
    shares = np.array(list(split.shares.values()))
    order = np.argsort(of_pairs, kind="stable")
    stratum, n_cells = stratum[order], n_cells[order]
    first = np.searchsorted(of_pairs[order], np.arange(groups.n + 1))
    n_strata = int(stratum.max(initial=0)) + 1
    of_strata = np.bincount(stratum, n_cells, n_strata)
    total = of_strata.sum()
    wanted = shares * of_strata[:, None]
    have, have_all, wanted_all = np.zeros_like(wanted), np.zeros(len(shares)), shares * total

    def cost_of_adding(group: int) -> np.ndarray:
        span = slice(first[group], first[group + 1])
        where, added = stratum[span], n_cells[span, None]
        size = float(n_cells[span].sum())
        in_strata = (added * (added + 2 * (have[where] - wanted[where])) / wanted[where]).sum(axis=0)
        in_all = size * (size + 2 * (have_all - wanted_all)) / wanted_all
        # All cells count as much as the strata together.
        return in_strata + n_strata * in_all

    def put(group: int, part: int, sign: int) -> None:
        span = slice(first[group], first[group + 1])
        have[stratum[span], part] += sign * n_cells[span]
        have_all[part] += sign * n_cells[span].sum()

    sizes = np.add.reduceat(n_cells, first[:-1]) if groups.n else np.zeros(0)
    keys = [_key(split.seed, label) for label in groups.labels()]
    ranked = sorted(range(groups.n), key=lambda group: (-int(sizes[group]).bit_length(), keys[group]))
    parts = np.full(groups.n, -1, np.int64)
    for _ in range(_MAX_SWEEPS):
        n_moved = 0
        for group in ranked:
            before = parts[group]
            if before >= 0:
                put(group, before, -1)
            cost = cost_of_adding(group)
            best = int(np.argmin(cost))
            if before >= 0 and cost[best] >= cost[before] - 1e-9 * abs(cost[before]):
                best = int(before)
            put(group, best, 1)
            parts[group] = best
            n_moved += best != before
        if not n_moved:
            break
    for empty in np.flatnonzero(np.bincount(parts, minlength=len(shares)) == 0):
        # A share that is far smaller than any group is nearest when it has none, but a part without cells is of no use.
        can_give = np.flatnonzero(np.bincount(parts, minlength=len(shares))[parts] > 1)
        if len(can_give):
            parts[min(can_give, key=lambda group: (sizes[group], keys[group]))] = empty
    return parts


def _key(seed: int, label: tuple[object, ...]) -> bytes:
    return hashlib.blake2b(repr(label).encode(), key=seed.to_bytes(8, "little"), digest_size=8).digest()
