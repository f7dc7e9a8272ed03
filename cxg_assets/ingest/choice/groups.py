"""Cells in a seeded order, and the groups that columns of obs make of them: what samples and splits rest on.

The order is a hash of soma_joinid, so that it does not depend on how obs is cut into batches, on the machine or on
which other cells are selected.
"""

from collections.abc import Callable, Iterable, Sequence

import numba
import numpy as np
import pyarrow as pa

from cxg_assets.ingest.errors import BadInput, shown

Batches = Callable[[], Iterable[pa.RecordBatch]]
"""Gives the same record batches of obs at every call, e.g. `FeatherFile.batches`."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_WINDOW = 6.0
"""Standard deviations on either side of a threshold's expected place: 1 search in 500 million needs a second pass."""

_MIN_SLOTS = 1 << 10
_MAX_PLACES = 1 << 21
"""Of a table with a place for every pair there could be: 8 MB, five times as fast as hashing (measured)."""


def hash_cells(joinids: np.ndarray, seed: int, purpose: int) -> np.ndarray:
    """Hash cells, one to one: no two cells share a hash, so an order by it has no ties.

    Args:
        joinids: (n_obs,) int64.
        seed: Of the user; 0 to 2**63 - 1.
        purpose: Sampling and splitting with one seed must not agree: a sample would all be of one part.

    Returns:
        (n_obs,) uint64, uniform.
    """
    key = _mix(np.array([seed], np.uint64) + _mix(np.array([purpose + 1], np.uint64)))
    return _mix(joinids.astype(np.uint64) ^ key)


def _mix(bits: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64; changes no argument."""
    bits = bits + _GOLDEN
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    bits ^= bits >> np.uint64(31)
    return bits


class Numbering:
    """Numbers distinct pairs in the order in which they are first seen: by a table of all pairs, or else by hashes.

    Attributes:
        n: Pairs seen so far.
    """

    def __init__(self) -> None:
        self.n = 0
        self._table: np.ndarray | None = np.full((1, 1), -1, np.int32)
        self._slots = np.full(_MIN_SLOTS, -1, np.int32)
        self._pairs = np.empty(_MIN_SLOTS // 2, np.int64)

    def number(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Number pairs, (n,) int32; the two of a pair are int32, 0 or more."""
        numbers, done = np.empty(len(first), np.int32), 0
        self._widen(int(first.max(initial=0)), int(second.max(initial=0)))
        if self._table is not None:
            self.n = _number_by_table(first, second, self._table, self._pairs, self.n, numbers)
            return numbers
        pairs = (first.astype(np.int64) << 32) | second
        while True:
            done, self.n = _number(pairs, done, self._slots, self._pairs, self.n, numbers)
            if done == len(pairs):
                return numbers
            self._rehash(2 * len(self._slots))

    def _widen(self, first: int, second: int) -> None:
        """See that the table has a place for a pair, or that there is none any more."""
        if self._table is None or (first < self._table.shape[0] and second < self._table.shape[1]):
            return
        shape = tuple(
            max(n, 1 << int(value).bit_length()) for n, value in zip(self._table.shape, (first, second), strict=True)
        )
        if shape[0] * shape[1] > _MAX_PLACES:
            self._table = None
            self._rehash(1 << (2 * max(self.n, _MIN_SLOTS)).bit_length())
            return
        self._table = np.full(shape, -1, np.int32)
        self._table[self.pairs()] = np.arange(self.n)
        self._pairs = np.append(self._pairs[: self.n], np.empty(self._table.size - self.n, np.int64))

    def _rehash(self, n_slots: int) -> None:
        known = self._pairs[: self.n]
        self._pairs, self._slots = np.empty(n_slots // 2, np.int64), np.full(n_slots, -1, np.int32)
        _number(known, 0, self._slots, self._pairs, 0, np.empty(self.n, np.int32))

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return both halves of the pairs seen so far, in the order of their numbers, each (n,) int64."""
        known = self._pairs[: self.n]
        return known >> 32, known & 0xFFFFFFFF


class Groups:
    """Numbers the combinations of values that some columns have; a missing value is a value like any other.

    Attributes:
        columns: The columns; with none of them all cells are one group.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        """Start with no group."""
        self.columns = tuple(columns)
        self._codings = [_Coding() for _ in columns]
        self._numberings = [Numbering() for _ in columns]

    @property
    def n(self) -> int:
        """Groups seen so far."""
        return self._numberings[-1].n if self.columns else 1

    def of(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return the group of each row, (n,) int32.

        Raises:
            BadInput: obs does not have one of the columns.
        """
        numbers = np.zeros(batch.num_rows, np.int32)
        for name, coding, numbering in zip(self.columns, self._codings, self._numberings, strict=True):
            if name not in batch.schema.names:
                raise BadInput(f"by: obs has no {shown(name)}; it has {', '.join(batch.schema.names)}")
            numbers = numbering.number(numbers, coding.codes(batch[name]))
        return numbers

    def labels(self) -> list[tuple[object, ...]]:
        """Return the values of each group, one for each column, in the order of their numbers."""
        labels: list[tuple[object, ...]] = [()]
        for coding, numbering in zip(self._codings, self._numberings, strict=True):
            values = list(coding.code_of)
            before, code = numbering.pairs()
            labels = [(*labels[i], values[k]) for i, k in zip(before.tolist(), code.tolist(), strict=True)]
        return labels


class _Coding:
    """Numbers the values of one column, also of one whose dictionary differs between batches."""

    def __init__(self) -> None:
        self.code_of: dict[object, int] = {}
        self._dictionary: pa.Array | None = None
        self._codes = np.empty(0, np.int32)

    def codes(self, column: pa.Array) -> np.ndarray:
        """Return the number of each row's value, (n,) int32."""
        if not isinstance(column, pa.DictionaryArray):
            column = column.dictionary_encode()
        if self._dictionary is None or not self._dictionary.equals(column.dictionary):
            self._dictionary = column.dictionary
            values = [*column.dictionary.to_pylist(), None]
            self._codes = np.array([self.code_of.setdefault(value, len(self.code_of)) for value in values], np.int32)
        indices = column.indices
        if indices.null_count:
            indices = indices.cast(pa.int32()).fill_null(len(self._codes) - 1)
        return self._codes[indices.to_numpy()]


class DonorCounts:
    """Counts the distinct donors of groups, up to as many as anybody asks for."""

    def __init__(self, limit: int) -> None:
        """Start with no group."""
        self._coding = _Coding()
        self._seen = np.full((0, limit), -1, np.int32)
        self.counts = np.zeros(0, np.int64)

    def add(self, groups: np.ndarray, n_groups: int, donors: pa.Array) -> None:
        """Count the donors of more cells; a missing one is none.

        Args:
            groups: (n,) int32, the group of each cell.
            n_groups: Groups so far.
            donors: (n,) the donor of each cell.
        """
        codes = self._coding.codes(donors)
        if n_groups > len(self._seen):
            n_more = max(n_groups, 2 * len(self._seen)) - len(self._seen)
            self._seen = np.pad(self._seen, ((0, n_more), (0, 0)), constant_values=-1)
            self.counts = np.pad(self.counts, (0, n_more))
        _note_donors(groups, codes, self._coding.code_of[None], self._seen, self.counts)


@numba.njit(nogil=True, cache=True)
def _note_donors(groups, donors, missing, seen, counts):
    for i in range(len(groups)):
        group, donor = groups[i], donors[i]
        n_seen = counts[group]
        if n_seen == seen.shape[1] or donor == missing:
            continue
        # Backwards: neighbours in obs are often of one donor.
        place = n_seen - 1
        while place >= 0 and seen[group, place] != donor:
            place -= 1
        if place < 0:
            seen[group, n_seen] = donor
            counts[group] = n_seen + 1


@numba.njit(nogil=True, cache=True)
def _number_by_table(first, second, table, known, n, numbers):
    for i in range(len(first)):
        number = table[first[i], second[i]]
        if number < 0:
            number = n
            table[first[i], second[i]] = n
            known[n] = (np.int64(first[i]) << 32) | second[i]
            n += 1
        numbers[i] = number
    return n


@numba.njit(nogil=True, cache=True)
def _number(pairs, start, slots, known, n, numbers):
    """Number pairs from `start` on until the table is half full; return how far it came and how many are known."""
    mask = len(slots) - 1
    for i in range(start, len(pairs)):
        pair = pairs[i]
        bits = np.uint64(pair) * np.uint64(0x9E3779B97F4A7C15)
        slot = np.int64(bits >> np.uint64(32)) & mask
        while slots[slot] >= 0 and known[slots[slot]] != pair:
            slot = (slot + 1) & mask
        if slots[slot] < 0:
            if n == len(known):
                return i, n
            slots[slot] = n
            known[n] = pair
            n += 1
        numbers[i] = slots[slot]
    return len(pairs), n


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
