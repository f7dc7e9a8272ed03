"""`contains(column, value)` selects the rows that have a value alone or among several, as pandas finds them."""

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filters.spelling import plain_spelling
from cxg_assets.ingest.filters.value_filter import parse_filter

PARTS = ("flu", "flu A", "A", "a.b", "(x)", "", "|", "COVID-19")
LABELS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map(" || ".join)
COLUMN = st.lists(st.none() | LABELS, min_size=1, max_size=30)
WANTED = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3)


def batch_of(labels: list[str | None], *, as_dictionary: bool = True) -> pa.RecordBatch:
    column = pa.array(labels, pa.string())
    return pa.record_batch({"disease": column.dictionary_encode() if as_dictionary else column})


def selected(text: str, batch: pa.RecordBatch) -> list[bool]:
    return parse_filter(text, batch.schema).mask(batch).tolist()


@settings(max_examples=300, deadline=None)
@given(labels=COLUMN, wanted=WANTED, negated=st.booleans(), as_dictionary=st.booleans())
def test_it_selects_what_pandas_finds(
    labels: list[str | None], wanted: list[str], negated: bool, as_dictionary: bool
) -> None:
    column = pd.Series(labels, dtype=object)
    has_one = column.map(lambda label: label is not None and bool(set(label.split(" || ")) & set(wanted)))
    expected = column.notna() & ~has_one if negated else has_one
    value = repr(wanted[0]) if len(wanted) == 1 else repr(wanted)
    text = f"{'not ' if negated else ''}contains(disease, {value})"
    batch = batch_of(labels, as_dictionary=as_dictionary)

    assert selected(text, batch) == expected.tolist()
    canonical = parse_filter(text, batch.schema).canonical
    assert selected(canonical, batch) == expected.tolist()
    assert parse_filter(canonical, batch.schema).canonical == canonical


def test_a_value_that_is_itself_several_is_one_that_stands_in_a_row() -> None:
    batch = batch_of(["A || B || C", "A || C", "B || A", "A || B"])

    assert selected("contains(disease, 'A || B')", batch) == [True, False, False, True]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("contains(disease, ['b', 'a', 'b'])", "contains(disease, ['a', 'b'])"),
        ("contains(disease, ['a'])", 'contains( disease , "a" )'),
        ("not (contains(disease, 'a') and sex == 'male')", "not contains(disease, 'a') or sex != 'male'"),
        ("contains(attr('disease'), 'a')", "contains(disease, 'a')"),
    ],
)
def test_what_means_the_same_is_spelt_the_same(one: str, other: str) -> None:
    schema = pa.schema([("disease", pa.string()), ("sex", pa.string())])

    assert parse_filter(one, schema).canonical == parse_filter(other, schema).canonical
    assert plain_spelling(one) == plain_spelling(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "contains(disease)",
            "value_filter: `contains(disease)` at column 1 needs a column and a value. Write contains",
        ),
        ("contains('a', disease)", "needs a column and a value"),
        ("contains(disease, 'a', 'b')", "needs a column and a value"),
        ("contains(disease, [])", "has an empty list"),
        ("contains(disease, sex)", "is a Name"),
        ("contains(disease, 3)", "compares 'disease', a column of string, with 3, which is not text"),
        ("contains(disease, None)", "with None, which has no order and cannot be in a list"),
        ("contains(nnz, 'a')", "looks for a part of 'nnz', a column of int64. Use == or in."),
        ("contains(diseases, 'a')", "names the column 'diseases', which is not there. Did you mean disease?"),
        ("contains(disease, 'a') == True", "is a function call"),
    ],
)
def test_what_it_cannot_do_is_said(text: str, message: str) -> None:
    schema = pa.schema([("disease", pa.string()), ("sex", pa.string()), ("nnz", pa.int64())])

    with pytest.raises(BadInput) as caught:
        parse_filter(text, schema)

    assert message in str(caught.value)
