"""Rows hash by their values alone: equal rows alike, however Arrow stores them, and others differently."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cxg_assets.ingest.census.row_hashes import hash_rows

TYPES = (
    pa.string(),
    pa.large_string(),
    pa.dictionary(pa.int8(), pa.large_string()),
    pa.dictionary(pa.int64(), pa.string()),
)
TEXTS = ["a", None, "", "ab", "abcdefgh", "abcdefghi", "x" * 100, "ä", "a", None, "abcdefgh\0", "\0", "\0\0"]


@pytest.mark.parametrize("data_type", TYPES, ids=str)
def test_a_text_hashes_alike_in_every_type(data_type: pa.DataType) -> None:
    column = pa.array(TEXTS, data_type)
    hashes = hash_rows([column])
    assert np.array_equal(hashes, hash_rows([pa.array(TEXTS, pa.string())]))
    assert len(set(hashes)) == len(set(TEXTS))
    assert hashes[0] == hashes[8]
    assert hashes[1] == hashes[9]


@pytest.mark.parametrize("data_type", TYPES, ids=str)
def test_a_slice_hashes_as_the_same_rows_of_the_whole(data_type: pa.DataType) -> None:
    column = pa.array(TEXTS, data_type)
    for start, stop in ((0, 4), (1, 2), (3, 13), (5, 5), (12, 13)):
        assert np.array_equal(hash_rows([column.slice(start, stop - start)]), hash_rows([column])[start:stop])


def test_a_dictionary_counts_by_its_values_and_not_by_its_codes() -> None:
    one = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None], pa.int8()), pa.array(["a", "b", "a"]))
    other = pa.DictionaryArray.from_arrays(pa.array([3, 1, 3, 0], pa.int8()), pa.array([None, "b", "c", "a", "d"]))
    assert np.array_equal(hash_rows([one]), hash_rows([other]))


@pytest.mark.parametrize("column", [pa.array([], pa.string()), pa.array([], TYPES[2])], ids=["plain", "dictionary"])
def test_no_rows_have_no_hashes(column: pa.Array) -> None:
    assert hash_rows([column, column]).tolist() == []


def test_a_column_of_nothing_but_empty_or_missing_texts_is_hashed() -> None:
    assert len(set(hash_rows([pa.array(["", ""])]))) == 1
    assert len(set(hash_rows([pa.array([None, None], pa.string())]))) == 1


def test_which_column_a_text_is_in_counts_and_where_it_ends() -> None:
    first, second = pa.array(["a", "b", "ab", "a", ""]), pa.array(["b", "a", "c", "bc", "ab"])
    assert len(set(hash_rows([first, second]))) == 5
    assert not set(hash_rows([first, second])) & set(hash_rows([second, first])[2:])


def test_numbers_are_hashed_by_their_text() -> None:
    assert np.array_equal(hash_rows([pa.array([3, 14, 3])]), hash_rows([pa.array(["3", "14", "3"])]))


@pytest.mark.parametrize("seed", range(4))
def test_random_rows_are_equal_where_pandas_finds_them_equal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_rows = 50_000
    frame = pd.DataFrame(
        {
            "dataset_id": rng.choice(np.array(["one", "two", "three", "", None]), n_rows),
            "observation_joinid": rng.choice([f"{n:x}" * int(n % 5) for n in range(9_000)], n_rows),
        }
    )
    frame.loc[rng.integers(0, n_rows, 100), "observation_joinid"] = None
    columns = [pa.array(frame[name], TYPES[(seed + place) % 4 if place else 3]) for place, name in enumerate(frame)]
    hashes = pd.Series(hash_rows(columns))
    assert hashes.duplicated().equals(frame.duplicated())


def test_texts_that_differ_in_one_bit_differ_in_half_the_bits_of_their_hashes() -> None:
    hashes = hash_rows([pa.array([f"{number:010d}" for number in range(20_000)])])
    differing = [(int(one) ^ int(other)).bit_count() for one, other in pairwise(hashes)]
    assert 31 < np.mean(differing) < 33
    ones = ((hashes[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).mean(axis=0)
    assert np.abs(ones - 0.5).max() < 0.02
