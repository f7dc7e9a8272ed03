"""`column in file(name)` selects the rows whose value is in a list, as pandas finds them, and says what is nowhere."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filters.lookup import value_list
from cxg_assets.ingest.filters.spelling import files_of, plain_spelling
from cxg_assets.ingest.filters.value_filter import parse_filter
from cxg_assets.ingest.filters.watch import FilterWatch
from cxg_assets.ingest.value_lists import ValueList

TEXTS = st.text("ab\0é ", max_size=3)
NUMBERS = st.integers(-(2**31), 2**31 - 1) | st.integers(-50, 50)


def listed(*values: object) -> dict[str, ValueList]:
    return {"ids.txt": value_list(pa.array([str(value) for value in values], pa.string()))}


def batch_of(values: list, value_type: pa.DataType, *, as_dictionary: bool = False) -> pa.RecordBatch:
    column = pa.array(values, value_type)
    return pa.record_batch({"column": column.dictionary_encode() if as_dictionary else column})


def check_against_pandas(batch: pa.RecordBatch, values: list, wanted: list, negated: bool) -> None:
    column = pd.Series(values, dtype=object)
    expected = column.notna() & (column.isin(wanted) != negated)
    text = f"{'not ' if negated else ''}column in file('ids.txt')"
    assert parse_filter(text, batch.schema, lists=listed(*wanted)).mask(batch).tolist() == expected.tolist()


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.none() | TEXTS, max_size=40),
    wanted=st.lists(TEXTS, min_size=1, max_size=20),
    negated=st.booleans(),
    as_dictionary=st.booleans(),
    value_type=st.sampled_from([pa.string(), pa.large_string()]),
)
def test_texts_are_found_as_pandas_finds_them(
    values: list, wanted: list, negated: bool, as_dictionary: bool, value_type: pa.DataType
) -> None:
    check_against_pandas(batch_of(values, value_type, as_dictionary=as_dictionary), values, wanted, negated)


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.none() | NUMBERS, max_size=40),
    wanted=st.lists(NUMBERS, min_size=1, max_size=20),
    negated=st.booleans(),
)
def test_numbers_are_found_as_pandas_finds_them(values: list, wanted: list, negated: bool) -> None:
    check_against_pandas(batch_of(values, pa.int64()), values, wanted, negated)


def test_texts_with_the_same_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "cxg_assets.ingest.filters.lookup.hash_rows", lambda columns: np.full(len(columns[0]), 7, np.uint64)
    )
    batch = batch_of(["a", "b", None], pa.string())
    value_filter = parse_filter("column in file('ids.txt')", batch.schema, lists=listed("b"))

    assert value_filter.mask(batch).tolist() == [False, True, False]


def test_batches_of_a_million_values_are_those_of_a_set() -> None:
    wanted = [f"id-{number}" for number in range(0, 2_000_000, 2)]
    batch = batch_of([f"id-{number}" for number in range(1_999_000, 2_001_000)], pa.large_string())
    found = parse_filter("column in file('ids.txt')", batch.schema, lists=listed(*wanted)).mask(batch)

    assert found.tolist() == [number % 2 == 0 and number < 2_000_000 for number in range(1_999_000, 2_001_000)]


def test_the_canonical_filter_has_the_digest_of_the_values_and_no_name() -> None:
    schema = batch_of([], pa.string()).schema
    value_filter = parse_filter("not column in file('ids.txt')", schema, lists=listed("b", "a", "b"))

    assert re.fullmatch(r"column not in file\('sha256:[0-9a-f]{64}'\)", value_filter.canonical)
    assert value_filter.canonical == parse_filter(value_filter.text, schema, lists=listed("a", "b")).canonical
    assert value_filter.canonical != parse_filter(value_filter.text, schema, lists=listed("a", "bb")).canonical
    assert plain_spelling("column  not in file(\"ids.txt\")", listed("a", "b")) == value_filter.canonical
    assert files_of("column in file('ids.txt') and other == 1") == ("ids.txt",)
    assert files_of("no filter (") == ()


@pytest.mark.parametrize(
    ("text", "value_type", "lists", "message"),
    [
        ("column in file('ids.txt')", pa.int32(), listed("1", "x 2", "3"), "in a file that has 'x 2'. Take it out"),
        ("column in file('ids.txt')", pa.int8(), listed("1", "300"), "in a file that has '300'. Take it out"),
        ("column in file('ids.txt')", pa.float32(), listed("1"), "looks up float in a file. List text or whole"),
        ("column in file('other.txt')", pa.string(), listed("1"), "names a file that is not known here"),
        ("contains(column, file('ids.txt'))", pa.string(), listed("1"), "Only `in` and `not in` have those"),
        ("column in file(ids)", pa.string(), listed("1"), "needs the name of a file. Write file('datasets.txt')"),
        ("column == file('ids.txt')", pa.string(), listed("1"), "is a function call"),
    ],
)
def test_what_cannot_be_looked_up_is_refused(
    text: str, value_type: pa.DataType, lists: dict[str, ValueList], message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        parse_filter(text, pa.schema([("column", value_type)]), lists=lists)
    assert message in str(caught.value)


@pytest.mark.parametrize("as_dictionary", [True, False])
def test_values_that_no_cell_has_are_told(as_dictionary: bool) -> None:
    batch = batch_of(["a", "b", None], pa.string(), as_dictionary=as_dictionary)
    value_filter = parse_filter("column in file('ids.txt')", batch.schema, lists=listed("b", "c", "d"))
    watch = FilterWatch(value_filter)
    watch.see(batch, 1)

    expected = "value_filter: 2 of 3 values of the file for column are of no cell: 'c', 'd'"
    assert watch.warnings() == [expected]
    assert watch.warnings(is_whole=False) == ([expected] if as_dictionary else [])


def test_a_file_of_which_no_cell_has_a_value_is_why_nothing_is_selected() -> None:
    batch = batch_of([1, 2], pa.int64())
    watch = FilterWatch(parse_filter("column in file('ids.txt')", batch.schema, lists=listed(7)))
    watch.see(batch, 0)

    assert watch.why_nothing("cell") == "1 of 1 values of the file for column are of no cell: '7'"
