"""Canonical text, and columns of every type and width."""

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pyarrow as pa
import pytest

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filters.value_filter import parse_filter
from cxg_assets_tests.ingest.filters.rows import ROWS, SCHEMA, batch_of


@pytest.mark.parametrize(
    "spelling",
    [
        "tissue in ['brain', 'blood'] and int64 >= 3 and is_primary_data == True",
        "  (tissue in [\"blood\",'brain','blood']) & (3<=int64) & (is_primary_data==1)  ",
        "(tissue in ['bl' 'ood', 'brain'] and (attr('int64') >= val(3.0))) and True == is_primary_data # cells",
        "not (tissue not in ['brain', 'blood'] or int64 < 3 or not is_primary_data != False)",
    ],
)
def test_spellings_of_one_filter_share_a_canonical_text(spelling: str):
    expected = "tissue in ['blood', 'brain'] and int64 >= 3 and is_primary_data == True"
    if "!= False" in spelling:
        expected = expected.replace("== True", "!= False")
    assert parse_filter(spelling, SCHEMA).canonical == expected


def test_canonical_text_keeps_what_differs_apart_and_is_ascii():
    texts = [
        "tissue == 'blood'", "tissue == 'Blood'", "tissue != 'blood'", "donor_id == 'blood'", "tissue == ''",
        "tissue == None", "tissue == 'None'", "int64 > 1", "int64 >= 1", "float32 == 0.1", "float64 == 0.1",
        "(int64 == 1 or int32 == 2) and int16 == 3", "int64 == 1 or int32 == 2 and int16 == 3", "tissue == '眼'",
    ]  # fmt: skip
    canonical = [parse_filter(text, SCHEMA).canonical for text in texts]
    assert len(set(canonical)) == len(texts)
    assert "".join(canonical).isascii()
    assert parse_filter("float64 == -0.0", SCHEMA).canonical == parse_filter("float64 == 0", SCHEMA).canonical
    assert parse_filter("(orig == 1)", pa.schema({"orig": pa.int8()})).canonical == "orig == 1"
    odd_names = pa.schema({"orig.ident": pa.int8(), "class": pa.int8(), "größe": pa.int8()})
    text = "attr('orig.ident') == 1 and attr('class') == 2 and größe == 3"
    assert parse_filter(text, odd_names).canonical == (
        "attr('orig.ident') == 1 and attr('class') == 2 and attr('gr\\xf6\\xdfe') == 3"
    )


def test_columns_are_named_once_in_order_of_first_use():
    value_filter = parse_filter("int64 > 1 and (tissue == 'blood' or int64 < 0) and attr('orig.ident') == 1", SCHEMA)
    assert value_filter.columns == ("int64", "tissue", "orig.ident")
    assert value_filter.text.startswith("int64 > 1 and (tissue")


def test_a_filter_is_immutable_and_survives_pickling():
    value_filter = parse_filter("tissue == 'blood' and int64 > 1", SCHEMA)
    before = value_filter.mask(batch_of(ROWS))
    with pytest.raises(FrozenInstanceError):
        value_filter.text = "int64 > 2"  # pyright: ignore[reportAttributeAccessIssue]
    copied = pickle.loads(pickle.dumps(value_filter))
    assert copied == value_filter
    assert hash(copied) == hash(value_filter)
    assert np.array_equal(copied.mask(batch_of(ROWS)), before)
    assert len(pickle.dumps(value_filter)) < 2000


def one_column(array: pa.Array) -> pa.RecordBatch:
    return pa.record_batch({"tissue": array})


def test_each_batch_is_read_with_its_own_dictionary():
    value_filter = parse_filter("tissue == 'b'", pa.schema({"tissue": pa.dictionary(pa.int8(), pa.string())}))
    codes = pa.array([0, 1, 2, 1], pa.int8())
    for categories, expected in (("abc", [1, 3]), ("bac", [0]), ("xyz", []), ("cab", [2]), ("abc", [1, 3])):
        batch = one_column(pa.DictionaryArray.from_arrays(codes, pa.array(list(categories))))
        assert np.flatnonzero(value_filter.mask(batch)).tolist() == expected
    shared = pa.array(list("bbbabc"))
    for offset, expected in ((0, [0, 1, 2, 3]), (3, [1, 3]), (1, [0, 1, 3])):
        batch = one_column(pa.DictionaryArray.from_arrays(codes, shared.slice(offset, 3)))
        assert np.flatnonzero(value_filter.mask(batch)).tolist() == expected


@pytest.mark.parametrize(
    "index_type", [pa.int8(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64()], ids=str
)
@pytest.mark.parametrize("text_type", [pa.string(), pa.large_string()], ids=str)
def test_dictionaries_of_any_width_and_fill_are_read(index_type: pa.DataType, text_type: pa.DataType):
    categories = pa.array([f"t{number}" for number in range(127)] + [None], text_type)
    codes = pa.array([126, None, 0, 127, 126], index_type)
    batch = one_column(pa.DictionaryArray.from_arrays(codes, categories))
    checked = pa.schema({"tissue": pa.large_string()})
    for text, expected in {
        "tissue == 't126'": [0, 4],
        "tissue != 't126'": [2],
        "tissue not in ['t0', 'other']": [0, 4],
        "tissue == None": [1, 3],
        "tissue != None": [0, 2, 4],
    }.items():
        value_filter = parse_filter(text, checked)
        assert np.flatnonzero(value_filter.mask(batch)).tolist() == expected
        assert value_filter.mask(batch.slice(2)).tolist() == value_filter.mask(batch).tolist()[2:]
        assert value_filter.mask(batch.slice(0, 0)).tolist() == []


def test_a_column_of_only_missing_values_passes_none():
    empty = pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int8()), pa.array([], pa.string()))
    for array in (empty, pa.array([None, None], pa.large_string())):
        batch = one_column(array)
        assert parse_filter("tissue != 'a'", batch.schema).mask(batch).tolist() == [False, False]
        assert parse_filter("tissue == None", batch.schema).mask(batch).tolist() == [True, True]


def test_rows_of_another_schema_are_refused():
    value_filter = parse_filter("int64 > 1 and stage > 'adult'", SCHEMA)
    with pytest.raises(BadInput, match=r"no column 'stage', which the filter `int64 > 1 and .*they have: int64\."):
        value_filter.mask(batch_of(ROWS.select(["int64"])))
    with pytest.raises(BadInput, match=r"'int64' of the rows is int8, but .* was checked against int64"):
        value_filter.mask(pa.record_batch({"int64": pa.array([1], pa.int8())}))
    text = ROWS["stage"].cast(pa.large_string())
    with pytest.raises(BadInput, match=r"'stage' of the rows is large_string, but .* was checked against dictionary"):
        value_filter.mask(batch_of(pa.table({"int64": ROWS["int64"], "stage": text})))


@pytest.mark.parametrize(
    "data_type", [pa.timestamp("s"), pa.large_binary(), pa.list_(pa.int8()), pa.float16()], ids=str
)
def test_columns_of_other_types_are_refused(data_type: pa.DataType):
    with pytest.raises(BadInput, match=r"`x == 1` at column 1 compares 'x', a column of .*, which filters cannot do"):
        parse_filter("x == 1", pa.schema({"x": data_type}))
