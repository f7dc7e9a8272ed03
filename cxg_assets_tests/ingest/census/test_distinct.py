"""Repeated cells are counted as pandas counts them, in whatever order, and cells in order are not sorted."""

import numpy as np
import pandas as pd
import pytest

from cxg_assets.ingest.census import distinct
from cxg_assets.ingest.census.distinct import is_in_order, n_distinct, n_repeated, sort_cells

N = 3 * distinct._SLICE + 77
"""Several slices, and a part of one."""


def cells(kind: str) -> np.ndarray:
    """(N,) int64: joinids of one kind."""
    rng = np.random.default_rng(0)
    values = np.arange(N) * 3
    if kind == "neighbours":
        values[N // 2] = values[N // 2 - 1]
    elif kind == "neighbours across slices":
        values[distinct._SLICE] = values[distinct._SLICE - 1]
    elif kind == "far apart":
        values[-1] = values[0]
    elif kind == "the last two":
        values[-1] = values[-2]
    elif kind == "many":
        values = rng.integers(0, N // 3, N)
    elif kind == "unsorted":
        rng.shuffle(values)
    elif kind == "all the same":
        values[:] = 7
    return values


@pytest.mark.parametrize(
    "kind",
    ["none", "neighbours", "neighbours across slices", "far apart", "the last two", "many", "unsorted", "all the same"],
)
def test_repeated_cells_are_counted_in_any_order(kind: str) -> None:
    values = cells(kind)
    expected = int(pd.Series(values).duplicated().sum())
    assert n_distinct(values) == N - expected
    assert np.array_equal(values, cells(kind))

    sort_cells(values)

    assert is_in_order(values)
    assert n_repeated(values) == expected
    assert np.array_equal(values, np.sort(cells(kind)))


@pytest.mark.parametrize("values", [[], [5], [5, 5], [6, 5]], ids=str)
def test_few_cells_or_none_are_counted_too(values: list[int]) -> None:
    array = np.array(values, np.int64)
    assert n_distinct(array) == len(set(values))
    sort_cells(array)
    assert array.tolist() == sorted(values)
    assert n_repeated(array) == len(values) - len(set(values))


def test_cells_in_order_are_left_where_they_are() -> None:
    values = cells("neighbours")
    values.setflags(write=False)  # numpy refuses to sort it
    sort_cells(values)
    with pytest.raises(ValueError, match="read-only"):
        sort_cells(values[::-1])
