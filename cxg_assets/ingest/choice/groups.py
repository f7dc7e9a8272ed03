"""The groups that columns of obs make of cells: what samples and splits rest on."""

from collections.abc import Sequence

import numba
import numpy as np
import pyarrow as pa

from cxg_assets.ingest.errors import BadInput, shown

_MIN_SLOTS = 1 << 10
_MAX_PLACES = 1 << 21
"""Of a table with a place for every pair there could be: 8 MB, five times as fast as hashing (measured)."""


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

    def __init__(self, columns: Sequence[str], attribute: str = "by") -> None:
        """Start with no group.

        Args:
            columns: obs columns.
            attribute: What the user calls them, for the message.
        """
        self.columns = tuple(columns)
        self._attribute = attribute
        self._codings = [Coding() for _ in columns]
        # The codes of the first of several columns serve as they are; a single one's are numbered: a group has cells.
        self._numberings = [Numbering() for _ in columns[1:] or columns]

    @property
    def n(self) -> int:
        """Groups seen so far."""
        return self._numberings[-1].n if self.columns else 1

    def of(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return the group of each row, (n,) int32.

        Raises:
            BadInput: obs does not have one of the columns.
        """
        for name in self.columns:
            if name not in batch.schema.names:
                raise BadInput(f"{self._attribute}: obs has no {shown(name)}; it has {', '.join(batch.schema.names)}")
        codes = [coding.codes(batch[name]) for name, coding in zip(self.columns, self._codings, strict=True)]
        numbers = codes.pop(0) if len(codes) > 1 else np.zeros(batch.num_rows, np.int32)
        for numbering, further in zip(self._numberings, codes, strict=True):
            numbers = numbering.number(numbers, further)
        return numbers

    def counted(self, n_cells: np.ndarray, of_cells: np.ndarray) -> np.ndarray:
        """Return the cells of each group seen so far, (n,) int64, when more cells are added to those counted."""
        return np.pad(n_cells, (0, self.n - len(n_cells))) + np.bincount(of_cells, minlength=self.n)

    def labels(self) -> list[tuple[object, ...]]:
        """Return the values of each group, one for each column, in the order of their numbers."""
        labels: list[tuple[object, ...]] = [()]
        columns = [list(coding.code_of) for coding in self._codings]
        if len(columns) > 1:
            labels = [(value,) for value in columns.pop(0)]
        for values, numbering in zip(columns, self._numberings, strict=True):
            before, code = numbering.pairs()
            labels = [(*labels[i], values[k]) for i, k in zip(before.tolist(), code.tolist(), strict=True)]
        return labels


class Coding:
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
        return _gather(self._codes, indices.to_numpy())


class DonorCounts:
    """Counts the distinct donors of groups, up to as many as anybody asks for."""

    def __init__(self, limit: int) -> None:
        """Start with no group."""
        self._coding = Coding()
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
def _gather(codes, indices):
    """`codes[indices]`, without numpy's copy of the indices as int64."""
    gathered = np.empty(len(indices), np.int32)
    for i in range(len(indices)):
        gathered[i] = codes[indices[i]]
    return gathered


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
