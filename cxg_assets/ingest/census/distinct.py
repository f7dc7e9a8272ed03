"""Repeated values in arrays of cells: in order already, as files of this project have them, or sorted first.

Not by `numpy.unique`, which hashes: 30 s for 20 million joinids in order (NumPy 2.4), 0.02 s to see that they are.
"""

from collections.abc import Iterator

import numpy as np

_SLICE = 1 << 20
"""Values compared at a time, so that the comparison takes a megabyte whatever the length."""


def is_in_order(values: np.ndarray) -> bool:
    """Whether no value is less than the one before."""
    return all(bool(np.all(before <= after)) for before, after in _neighbours(values))


def sort_cells(values: np.ndarray) -> None:
    """Sorts values of one dimension in place; only one pass over them where they are in order."""
    if not is_in_order(values):
        values.sort()


def n_repeated(ordered: np.ndarray) -> int:
    """How many of (n,) values in order are that of the one before."""
    return sum(int(np.count_nonzero(after == before)) for before, after in _neighbours(ordered))


def n_distinct(values: np.ndarray) -> int:
    """How many different values there are; (n,) values in any order, of which a copy is made only if they are not."""
    return len(values) - n_repeated(values if is_in_order(values) else np.sort(values))


def _neighbours(values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Slice by slice, the values and those that follow them."""
    for start in range(0, len(values) - 1, _SLICE):
        stop = min(start + _SLICE, len(values) - 1)
        yield values[start:stop], values[start + 1 : stop + 1]
