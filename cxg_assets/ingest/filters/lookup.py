"""Looks up values in the long list of a file: a million of them, in each batch.

Arrow builds its table of the wanted values anew for each batch, which for a million takes longer than to read the
batch. Here texts are found by their 64-bit hash in a table that is built once, and then compared.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cxg_assets.ingest.census.row_hashes import HashTable, hash_rows
from cxg_assets.ingest.value_lists import ValueList

_DENSE = 16
"""Numbers that lie closer than this are marked in a table of their whole range; others are searched for."""


class NotOfType(ValueError):
    """A value of a list cannot be one of the column; the message is the value."""


def value_list(texts: pa.Array) -> ValueList:
    """The list of some texts, in any order and however often.

    They are put in the order of their hashes, which is ten times as fast as to sort texts.
    """
    texts = texts.cast(pa.large_string())
    hashes = hash_rows([texts])
    texts = texts.take(pa.array(np.argsort(hashes)))
    is_another = pc.call_function("not_equal", [texts.slice(1), texts.slice(0, len(texts) - 1)])
    texts = texts.filter(pa.concat_arrays([pa.array([True]), is_another]))
    digest = hashlib.sha256("\n".join(texts.to_pylist()).encode())
    return ValueList(texts, f"sha256:{digest.hexdigest()}")


@dataclass(frozen=True, eq=False)
class Lookup:
    """A list as values of one column, ready to be looked up in.

    Attributes:
        listed: The list.
        values: The same, of the column's type and in its order.
    """

    listed: ValueList
    values: pa.Array
    _latest: dict[str, tuple[pa.Array, np.ndarray]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, listed: ValueList, value_type: pa.DataType) -> "Lookup":
        """A list for a column of text or of whole numbers.

        Raises:
            NotOfType: A value of it is no such number.
        """
        if not pa.types.is_integer(value_type):
            return cls(listed, listed.values)
        try:
            numbers = listed.values.cast(value_type)
        except pa.ArrowInvalid as error:
            raise NotOfType(_first_wrong(listed.values, value_type)) from error
        in_order = np.sort(numbers.to_numpy())  # np.unique is five times as slow
        return cls(listed, pa.array(in_order[np.append(True, np.diff(in_order) != 0)]))

    def __reduce__(self) -> tuple[type["Lookup"], tuple[ValueList, pa.Array]]:
        return Lookup, (self.listed, self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lookup) and (self.listed, self.values.type) == (other.listed, other.values.type)

    def __hash__(self) -> int:
        return hash(self.listed)

    def places(self, column: pa.Array) -> np.ndarray:
        """Where in `values` each value of a column is, (len(column),) int64; -1 where it is not, or is missing.

        The answer for the latest column is kept: who counts what was found asks again.
        """
        latest = self._latest.get("")
        if latest is None or not is_same_memory(latest[0], column):
            find = self._places_of_numbers if pa.types.is_integer(self.values.type) else self._places_of_texts
            latest = self._latest[""] = column, find(column)
        return latest[1]

    def _places_of_numbers(self, column: pa.Array) -> np.ndarray:
        is_valid = column.is_valid().to_numpy(zero_copy_only=False)
        places = np.full(len(column), -1, np.int64)
        wanted, numbers = self.values.to_numpy(), column.drop_null().to_numpy()
        if not len(numbers):
            return places
        first, last = numbers.min(), numbers.max()
        start, stop = np.searchsorted(wanted, first), np.searchsorted(wanted, last, side="right")
        near = wanted[start:stop]
        if int(last) - int(first) < _DENSE * len(numbers):
            table = np.full(int(last) - int(first) + 1, -1, np.int64)
            table[near - first] = np.arange(start, stop)
            places[is_valid] = table[numbers - first]
        elif len(near):
            found = np.minimum(np.searchsorted(near, numbers), len(near) - 1)
            places[is_valid] = np.where(near[found] == numbers, start + found, -1)
        return places

    def _places_of_texts(self, column: pa.Array) -> np.ndarray:
        places = self._table.find(hash_rows([column]))
        hits = np.flatnonzero(places >= 0)
        texts = column.take(pa.array(hits)).cast(pa.large_string())
        is_same = pc.call_function("equal", [texts, self.values.take(pa.array(places[hits]))]).fill_null(False)
        places[hits[~is_same.to_numpy(zero_copy_only=False)]] = -1
        return places

    @cached_property
    def _table(self) -> HashTable:
        return HashTable(hash_rows([self.values]))


def is_same_memory(one: pa.Array, other: pa.Array) -> bool:
    """Tells whether two arrays are views of the same buffers; False is no proof that they differ."""
    places = [
        (array.offset, len(array), [buffer and buffer.address for buffer in array.buffers()]) for array in (one, other)
    ]
    return one.type == other.type and places[0] == places[1]


def _first_wrong(values: pa.Array, value_type: pa.DataType) -> str:
    """The first value that is none of a type, found by halves."""
    while len(values) > 1:
        half = values.slice(0, len(values) // 2)
        try:
            half.cast(value_type)
        except pa.ArrowInvalid:
            values = half
        else:
            values = values.slice(len(values) // 2)
    return values[0].as_py()
