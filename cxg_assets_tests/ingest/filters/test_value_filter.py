"""What a value_filter selects from record batches is what TileDB-SOMA's own value_filter selects from the same rows."""

from dataclasses import dataclass

import pytest
import tiledbsoma
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.filters.value_filter import parse_filter
from cxg_assets_tests.ingest.filters.rows import (
    FLOATS,
    INTEGERS,
    ROWS,
    SCHEMA,
    STAGES,
    TISSUES,
    selected_by_soma,
    selected_here,
)

# Filters that tiledbsoma 2.3.0 can run as they stand. Comparisons with None are not among them: now and then they end
# the process (an abort where it builds the condition).
KNOWN = """
tissue == 'blood'
tissue != 'blood'
tissue == "it's"
tissue == '眼' or tissue == 'œsophage'
tissue == ''
disease == 'blood'
disease != 'blood'
not disease == 'blood'
not disease != 'blood'
disease == 'nowhere'
disease != 'nowhere'
disease == 'unused'
disease in ['blood', 'nowhere']
disease not in ['blood', 'nowhere']
disease in ['nowhere']
disease not in ['nowhere']
disease in ['blood', 'blood']
donor_id == 'blood'
donor_id < 'blood'
donor_id > ''
donor_id >= 'œ'
donor_id <= 'blood\\x00'
donor_id in ['', '眼']
cell_type != 'blood'
cell_type < 'c'
not cell_type < 'c'
cell_type not in ['blood']
stage == 'adult'
stage < 'adult'
stage >= 'adult'
'adult' < stage
stage < 'nobody'
stage >= 'nobody'
not stage < 'nobody'
stage != 'nobody'
stage in ['old', 'nobody']
is_primary_data == True
is_primary_data == False
is_primary_data == 1
is_primary_data != 0
is_primary_data == 1.0
not is_primary_data == True
maybe == True
maybe != True
not maybe == True
maybe < True
maybe >= False
int64 == 3
int64 == 3.0
int64 == -3
int64 == - -3
int64 == +3
int64 == 0x3
3 == int64
3 > int64
-1 < int64 <= 3
-1 < int64 < 4 != int64
5 >= int64 > 1 != int64
int64 != 3
not int64 > 3
int64 in [1, 2, 99]
int64 not in [1, 2, 99]
int64 in [val(1)]
int64 == val(1)
val(1) < int64
uint64 <= 18446744073709551615
int64 > -9223372036854775808
uint8 == 5 or int8 == -5 or int16 == 5 or uint16 == 5 or int32 == 5 or uint32 == 5
int8 in [1] or uint16 in [1] or int32 in [1] or uint32 in [1] or uint64 in [1]
float64 == 0
float64 == -0.0
float64 in [0.0]
float64 in [0, 2.5]
float64 not in [0.0]
float64 == 0.1
float32 == 0.1
float32 in [0.1]
float32 != 2.5
float64 != 2.5
not float64 < 1
float64 >= 1
float32 < 1e-400
float32 >= 16777217
attr("orig.ident") == 1
attr("orig.ident") in [1, 2]
attr("tissue") == val('blood')
soma_joinid < 7 or soma_joinid in [100, 1000]
(tissue == 'blood') & (is_primary_data == True)
(tissue == 'blood') | (is_primary_data == True) & (int64 > 2)
tissue == 'blood' or int64 == 1 and is_primary_data == True
(tissue == 'blood' or int64 == 1) and is_primary_data == True
not disease == 'blood' and not int64 == 3
tissue == 'bl' 'ood'
tissue=='blood'and int64>0   # a comment
""".strip().split("\n")


@pytest.mark.parametrize("text", KNOWN)
def test_selects_the_same_rows_as_soma(obs: tiledbsoma.DataFrame, text: str):
    expected = selected_by_soma(obs, text)
    assert selected_here(text) == expected
    assert selected_here(text, obs.read().concat()) == expected
    canonical = parse_filter(text, SCHEMA).canonical
    assert selected_here(canonical) == expected
    assert selected_by_soma(obs, canonical) == expected


@dataclass(frozen=True)
class Sample:
    """A filter, and what tiledbsoma 2.3.0 can run without dying that means the same, and the opposite."""

    text: str
    soma: str
    soma_negated: str


NEGATED = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in", "not in": "in"}
MIRRORED = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
EQUALITY = st.sampled_from(["==", "!="])
COMPARISON = st.sampled_from(sorted(MIRRORED))
MEMBERSHIP = st.sampled_from(["in", "not in"])


def quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"' if "'" in text else repr(text)


TEXTS = st.sampled_from([*TISSUES, "unused", "nowhere", "zzz"]).map(quoted)
STAGE_TEXTS = st.sampled_from([*STAGES, "nobody"]).map(quoted)
SMALL = st.integers(0, 7).map(str)
SIGNED = st.integers(-7, 7).map(str) | st.integers(-7, 7).map(lambda value: f"{value}.0")
DECIMALS = st.sampled_from(["0", "0.0", "0.1", "1", "2.5", "1e9", "7.25"])
# column, operators, constants, constants in lists
LEAVES = [
    *((name, EQUALITY, TEXTS, TEXTS) for name in ("tissue", "disease")),
    *((name, COMPARISON, TEXTS, TEXTS) for name in ("donor_id", "cell_type")),
    ("stage", COMPARISON, STAGE_TEXTS, STAGE_TEXTS),
    *((name, COMPARISON, st.sampled_from(["True", "False", "0", "1"]), None) for name in ("is_primary_data", "maybe")),
    *(
        (name, COMPARISON, SMALL if name[0] == "u" else SIGNED, SMALL)
        for name in INTEGERS
        if name not in ("int16", "uint8")
    ),
    *((name, COMPARISON, SMALL, None) for name in ("int16", "uint8")),
    *((name, COMPARISON, DECIMALS | DECIMALS.map(lambda value: f"-{value}"), DECIMALS) for name in FLOATS),
    ('attr("orig.ident")', COMPARISON, SIGNED, SMALL),
]


@st.composite
def leaves(draw: st.DrawFn) -> Sample:
    column, operators, constants, listed = draw(st.sampled_from(LEAVES))
    shape = draw(st.sampled_from(["plain", "plain", "mirrored", "list", "chain"]))
    if shape == "list" and listed is not None:
        op, values = draw(MEMBERSHIP), ", ".join(draw(st.lists(listed, min_size=1, max_size=4)))
        return Sample(f"{column} {op} [{values}]", f"{column} {op} [{values}]", f"{column} {NEGATED[op]} [{values}]")
    op, value = draw(operators), draw(constants)
    if shape == "chain":
        other_op, other = draw(operators), draw(constants)
        return Sample(
            f"{value} {op} {column} {other_op} {other}",
            f"({column} {MIRRORED[op]} {value} and {column} {other_op} {other})",
            f"({column} {NEGATED[MIRRORED[op]]} {value} or {column} {NEGATED[other_op]} {other})",
        )
    soma = Sample(f"{column}{op}{value}", f"{column} {op} {value}", f"{column} {NEGATED[op]} {value}")
    return Sample(f"{value} {MIRRORED[op]} {column}", soma.soma, soma.soma_negated) if shape == "mirrored" else soma


def joined(pair: tuple[Sample, Sample], word: str, opposite: str, symbol: str) -> Sample:
    one, other = pair
    return Sample(
        f"({one.text}) {symbol} ({other.text})",
        f"({one.soma}) {word} ({other.soma})",
        f"({one.soma_negated}) {opposite} ({other.soma_negated})",
    )


SAMPLES = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: joined(pair, "and", "or", "and")),
        st.tuples(inner, inner).map(lambda pair: joined(pair, "and", "or", "&")),
        st.tuples(inner, inner).map(lambda pair: joined(pair, "or", "and", "or")),
        st.tuples(inner, inner).map(lambda pair: joined(pair, "or", "and", "|")),
        inner.map(lambda one: Sample(f"not ({one.text})", one.soma_negated, one.soma)),
    ),
    max_leaves=6,
)


@given(sample=SAMPLES)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_random_filters_select_the_same_rows_as_soma(obs: tiledbsoma.DataFrame, sample: Sample):
    expected = selected_by_soma(obs, sample.soma)
    assert selected_here(sample.text) == expected
    canonical = parse_filter(sample.text, SCHEMA).canonical
    assert parse_filter(canonical, SCHEMA).canonical == canonical
    assert selected_here(canonical) == expected
    assert selected_by_soma(obs, canonical) == expected


@pytest.mark.parametrize("column", ["disease", "tissue", "stage", "cell_type", "maybe", "int64", "float32"])
def test_none_stands_for_a_missing_value(column: str):
    is_missing = ROWS[column].is_null().to_pylist()
    missing = [row for row, without in enumerate(is_missing) if without]
    present = [row for row, without in enumerate(is_missing) if not without]

    for text in (f"{column} == None", f"None == {column}", f"not {column} != None"):
        assert selected_here(text) == missing
    for text in (f"{column} != None", f"None != {column}", f"not {column} == None"):
        assert selected_here(text) == present
