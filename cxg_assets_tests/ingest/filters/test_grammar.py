"""What is not a filter is refused with one message, and never run as code."""

from pathlib import Path

import pytest
import tiledbsoma
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filters.value_filter import parse_filter
from cxg_assets_tests.ingest.filters.rows import SCHEMA, selected_by_soma, selected_here

REFUSED = {
    "": r"^here: the filter is empty\. Leave it out",
    " \n\t": "the filter is empty",
    # does not parse
    "tissue = 'blood'": r"does not parse at column 8, at `= 'blood'`: invalid syntax.*Use == to compare",
    "tissue == 'blood' and": r"does not parse at column 22, at the end: invalid syntax\. Write conditions like",
    "tissue == 'blood": r"does not parse at column 11, at `'blood`: unterminated string literal",
    "(tissue == 'blood'": r"does not parse at column 1, at `\(tissue == 'blood'`: '\(' was never closed",
    "tissue == 'blood' && int64 == 1": r"does not parse at column 20, at `& int64 == 1`",
    "tissue == 'blood'\nor int64 == 1": r"does not parse at line 2, column 1, at `or int64 == 1`: .*Keep the filter",
    "tissue == 'blood'; int64 == 1": "does not parse at column 18",
    "int64 = 1": "does not parse",
    "x = 1\nimport os": "does not parse",
    "tissue == 'bl\0od'": r"contains '\\x00', which is not text",
    "tissue == '\ud800'": r"contains '\\ud800', which is not text",
    "int64 == " + "9" * 5000: r"does not parse at .*: Exceeds the limit \(4300 digits\)",
    "int64 == 0x" + "f" * 5000: r"`0xf+…` at column 10 is too large for any column",
    # columns
    "tisue == 'blood'": r"`tisue == 'blood'` at column 1 names the column 'tisue', which is not there\. "
    r"Did you mean tissue\? Columns: soma_joinid, tissue, disease, ",
    "int64 == 1 and (\n œil == 2)": r"`œil == 2` at line 2, column 2 names the column 'œil', which is not there",
    "'œ' == tissue and (int64 + 1 == 2)": r"`int64 \+ 1` at column 20 is arithmetic",
    "tissue == blood": r"`blood` at column 11 is a column, or text without quotes",
    "int64 == int32": r"`int32` at column 10 is a column",
    "orig.ident == 1": r"`orig\.ident` at column 1 is attribute access.*Write attr\(\"a\.b\"\)",
    "attr(1) == 1": "does not name a column",
    "attr(tissue) == 'a'": "needs one plain constant",
    "attr() == 1": "needs one plain constant",
    "attr('int64', x=1) == 1": "needs one plain constant",
    "attr('nosuch') in [1]": "names the column 'nosuch'",
    "int64 == val(-1)": "needs one plain constant",
    "int64 == val(val(1))": "needs one plain constant",
    "val(int64) == 1": "needs one plain constant",
    # conditions
    "is_primary_data": r"is not a condition\. Compare it with a value, like is_primary_data == True",
    "not is_primary_data": "is not a condition",
    "int64 == 1 and True": "`True` at column 16 is a constant, not a condition",
    "1": "is a constant, not a condition",
    "1 == 2": "compares constants only",
    "3 < 4 < int64": "compares constants only",
    "(int64 == 1) == True": "is a Compare, which filters do not have here",
    "int64 == 1 & int32 == 1": r"`1 & int32` at column 10 does not join two comparisons.*& and \| bind tighter",
    "(int64 == 1) & tissue in ['blood']": r"`\(int64 == 1\) & tissue` at column 1 does not join two comparisons",
    "tissue in ['blood'] & (int64 == 1)": r"`\['blood'\] & \(int64 == 1\)` at column 11 does not join two comparisons",
    "(int64 == 1) ^ (int32 == 1)": "is arithmetic",
    "~(int64 == 1)": "is a UnaryOp",
    "-int64 == 1": "is a UnaryOp",
    "int64 == ~1": "is a UnaryOp",
    "int64 == not 1": "does not parse",
    "int64 is 1": "uses an operator that filters do not have here",
    "int64 is not None": "uses an operator that filters do not have here",
    "1 < int64 in [3]": "uses an operator that filters do not have here",
    "int64 in [3] == 3": "goes on after the list of `in`",
    "int64 in (1, 2)": r"`\(1, 2\)` at column 10 is not a list",
    "tissue in 'blood'": "is not a list",
    "tissue in []": r"`tissue in \[\]` at column 1 has an empty list",
    "tissue not in []": "has an empty list",
    "tissue in [*['blood']]": "is a Starred",
    "1 in [1]": "is not a column, and `in` needs one",
    "int64 in [-1]": "has a sign, which SOMA does not read in a list",
    "int64 == (1,)": "is a Tuple",
    "int64 == [1]": "is a List",
    "tissue == f'blood'": "is an f-string",
    "tissue == f'{int64}'": "is an f-string",
    "tissue[0] == 'b'": "is a Subscript",
    "len(tissue) == 3": "is a function call",
    "tissue.lower() == 'blood'": "is a function call",
    "lambda: int64 == 1": "is a Lambda",
    "[c for c in (1, 2)]": "is a ListComp",
    "(c := int64 == 1)": "is an assignment",
    "int64 == 1 if True else int64 == 2": "is an if-else",
    "{'a': 1}": "is a Dict",
    "(yield)": "does not parse|is a Yield",
    # constants against types
    "tissue == 5": r"`tissue == 5` at column 1 compares 'tissue', a column of large_string, with 5, which is not text",
    "donor_id == True": "which is not text",
    "tissue in ['blood', 5]": "with 5, which is not text",
    "tissue == b'blood'": "is not text, a number, True, False or None",
    "tissue == ...": "is not text, a number, True, False or None",
    "int64 == 1j": "is not text, a number, True, False or None",
    "tissue == '\\ud800'": "which holds half a character",
    "tissue == -'blood'": "has a sign but is not a number",
    "int64 == -True": "has a sign but is not a number",
    "int64 == '1'": r"'int64', a column of int64, with '1', which is text\. Remove the quotes",
    "int64 in [1, '1']": "with '1', which is text",
    "int64 == '" + "x" * 200 + "'": "with 'x+…, which is text",
    "is_primary_data == 'True'": "a column of bool, with 'True', which is text",
    "is_primary_data == 2": "with 2, which is neither True nor False",
    "is_primary_data == 0.5": "with 0.5, which is neither True nor False",
    "is_primary_data in [True]": "looks up bool in a list, which SOMA cannot",
    "int16 in [1]": "looks up int16 in a list, which SOMA cannot",
    "uint8 not in [1]": "looks up uint8 in a list, which SOMA cannot",
    "int64 == True": "with True, which is not a number",
    "float64 == False": "with False, which is not a number",
    "int64 in [1, True]": "with True, which is not a number",
    "int64 > 5.7": "with 5.7, which is not written as a whole number",
    "int64 in [1.0]": "with 1.0, which is not written as a whole number",
    "int64 < 1e999": "with inf, which is not written as a whole number",
    "int64 == 9223372036854775808": "which is out of range. Write a number from -9223372036854775808 to 9223",
    "int64 < 1e30": "with 1e.30, which is out of range",
    "int8 == 128": "which is out of range. Write a number from -128 to 127",
    "uint8 >= -1": "which is out of range. Write a number from 0 to 255",
    "int32 in [1, 4294967296]": "which is out of range",
    "float64 < 1e999": "which is too large",
    "float32 < 1e300": "which is too large",
    "float64 == 1" + "0" * 320: "is too large for any column",
    "tissue < 'blood'": r"`tissue < 'blood'` at column 1 orders 'tissue', a dictionary column without an order",
    "not 'blood' >= tissue": "orders 'tissue', a dictionary column without an order",
    "int64 < None": "with None, which has no order",
    "tissue in ['blood', None]": "cannot be in a list",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_refuses_what_is_not_a_filter_of_these_columns(text: str):
    with pytest.raises(BadInput, match=REFUSED[text]) as refusal:
        parse_filter(text, SCHEMA, where="here")
    assert str(refusal.value).startswith("here: ")
    assert len(str(refusal.value)) < 600


NESTED = [
    "(" * 5000 + "int64 == 1" + ")" * 5000,
    "(" * 150 + "int64 == 1" + ")" * 150,
    "not " * 150 + "int64 == 1",
    "not " * 100_000 + "int64 == 1",
    "int64 == " + "-" * 100_000 + "1",
    "(int64 == 1)" + " | (int64 == 2)" * 20_000,
    "int64 == 1" + " and (int64 == 1 or int64 == 2" * 150 + ")" * 150,
    "[" * 5000,
    "{" * 5000 + ":",
    "a." * 20_000 + "b == 1",
    "a" + "[0]" * 20_000,
    "a" + "()" * 20_000,
    "int64 == " + "1 if 1 else " * 20_000 + "1",
    "lambda: " * 20_000 + "1",
]


def refusal_of(text: str) -> str | None:
    try:
        parse_filter(text, SCHEMA)
    except BadInput as refusal:
        return str(refusal)
    return None


@pytest.mark.parametrize("text", NESTED, ids=lambda text: text[:8])
def test_deep_nesting_is_refused_or_read_but_never_fatal(text: str):
    assert len(refusal_of(text) or "") < 600


def test_very_long_filters_are_read_up_to_a_limit():
    many = [f"dataset-{row:06d}" for row in range(40_000)]
    assert selected_here(f"donor_id in {[*many, 'blood']}") == selected_here("donor_id == 'blood'")
    assert selected_here("int64 == 3" + " or int64 == 3" * 20_000) == selected_here("int64 == 3")
    with pytest.raises(BadInput, match=r"has 1,\d{3},\d{3} characters, the limit is 1,000,000"):
        parse_filter(f"donor_id in {many * 2}", SCHEMA)


TOKENS = """
    tissue cell_type int64 uint8 float32 is_primary_data attr("int64") attr val ( ) [ ] , == != < <= in not and or & |
    - + ~ ^ 'blood' "" '\\N{DIGIT ONE}' 1 0.5 1e999 0x10 1_0 1j True None b'x' f'{int64}' * ** . : := = lambda if
    else for
    is ; # \\ await yield ... { } @ %
"""
CONDITIONS = ["tissue == 'blood'", "int64 > 1", "is_primary_data == True", "float32 in ["]
PIECES = st.sampled_from([*TOKENS.split(), *CONDITIONS, "\n", "\t", "\x0c", "\xa0", "\r"])


@given(
    text=st.text(max_size=60) | st.lists(PIECES, max_size=12).map(" ".join) | st.lists(PIECES, max_size=8).map("".join)
)
@settings(max_examples=600, deadline=None, derandomize=True)
def test_any_text_is_a_filter_that_soma_can_run_or_bad_input(obs: tiledbsoma.DataFrame, text: str):
    refusal = refusal_of(text)
    if refusal is not None:
        assert refusal.startswith("value_filter: ")
        return
    canonical = parse_filter(text, SCHEMA).canonical
    # tiledbsoma 2.3.0 now and then ends the process on a comparison with None.
    expected = selected_here(canonical) if "None" in canonical else selected_by_soma(obs, canonical)
    assert selected_here(text) == expected


@pytest.mark.parametrize(
    "call",
    ["open({path!r}, 'w')", "__import__('pathlib').Path({path!r}).touch()", "exec('open({path!r}, chr(119))')"],
)
@pytest.mark.parametrize(
    "around",
    [
        "{call}", "{call} == 1", "int64 == {call}", "int64 in [{call}]", "int64 in {call}", "attr({call}) == 1",
        "int64 == val({call})", "tissue == f'{{{call}}}'", "(lambda: {call})() == 1", "[{call} for _ in [1]]",
        "int64 == 1 and {call}", "(x := {call})", "int64[{call}] == 1", "int64 == 1 if {call} else int64 == 2",
    ],
)  # fmt: skip
def test_nothing_in_a_filter_is_executed(tmp_path: Path, call: str, around: str):
    target = tmp_path / "executed"
    with pytest.raises(BadInput):
        parse_filter(around.format(call=call.format(path=str(target))), SCHEMA)
    assert not target.exists()
