"""A selection is compared with a YAML by meaning, and says by which attributes the two differ."""

from typing import Any

import pyarrow as pa
import pytest

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filters.spelling import plain_spelling
from cxg_assets.ingest.filters.value_filter import parse_filter
from cxg_assets.ingest.genes.select import parse_gene_filter
from cxg_assets.ingest.records import decode, encode
from cxg_assets.ingest.selection.selection import Selection
from cxg_assets.ingest.spec import GeneSelection, SubsetSpec

TEXT = pa.dictionary(pa.int32(), pa.string())
OBS = pa.schema(
    [
        ("tissue", TEXT),
        ("sex", pa.string()),
        ("nnz", pa.int64()),
        ("mean", pa.float32()),
        ("sum", pa.float64()),
        ("is_primary_data", pa.bool_()),
        ("stage", pa.dictionary(pa.int8(), pa.string(), ordered=True)),
        ("seen", pa.timestamp("us")),
        ("marks", pa.list_(pa.int64())),
    ]
)
VAR = pa.schema([("nnz", pa.int64()), ("feature_id", pa.string())])


def spec_of(**changes: Any) -> SubsetSpec:
    return SubsetSpec(**{"name": "blood", "organism": "homo_sapiens", "obs_columns": ("tissue", "sex"), **changes})


def selection_of(spec: SubsetSpec) -> Selection:
    """As it comes back from the JSON of a subset."""
    value_filter = None if spec.value_filter is None else parse_filter(spec.value_filter, OBS)
    selection = Selection.of(spec, value_filter, parse_gene_filter(spec.genes, VAR))
    back = decode(Selection, encode(selection), path="subset.json", remedy="")
    assert back == selection
    return back


def refusal(was: SubsetSpec, now: SubsetSpec) -> str:
    with pytest.raises(BadInput) as refused:
        selection_of(was).require_selected_by(now)
    return str(refused.value)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("tissue == 'blood'", ' ("blood"==tissue) '),
        ("tissue == 'blood' and nnz > 5", "(tissue == 'blood') & (nnz > 5.0)"),
        ("nnz > 5 and tissue != 'blood'", "not (nnz <= 5 or tissue == 'blood')"),
        ("tissue in ['b', 'a']", "tissue in ['a', 'b', 'a']"),
        ("tissue not in ['a']", "not tissue in ['a']"),
        ("is_primary_data == True", "is_primary_data == 1"),
        ("mean > 0.1", "mean > 0.10000000149011612"),
        ("sum > 3", "3.0 < sum"),
        ("stage < 'b'", "not stage >= 'b'"),
        ("seen == None and marks != None", "(None == seen) & (None != marks)"),
        ("attr('sex') == 'female'", "sex == val('female')"),
        ("0 < nnz < 9", "nnz > 0 and nnz < 9"),
    ],
)
def test_a_filter_in_other_words_selects_the_same(was: str, now: str) -> None:
    selection_of(spec_of(value_filter=was)).require_selected_by(spec_of(value_filter=now))
    selection_of(spec_of(value_filter=now)).require_selected_by(spec_of(value_filter=was))


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [
        ("nnz > 5", "nnz > 6", "value_filter was `nnz > 5`, is now `nnz > 6`"),
        ("nnz > 5", "nnz >= 5", "is now `nnz >= 5`"),
        ("nnz > 5", "nnz > 5 and sex == 'female'", "is now `nnz > 5 and sex == 'female'`"),
        ("nnz > 5", "cells > 5", "is now `cells > 5`"),
        ("tissue == 'blood'", "tissue == 'Blood'", "is now `tissue == 'Blood'`"),
        ("nnz > 5", None, "value_filter was `nnz > 5`, is now not given"),
        (None, "nnz > 5", "value_filter was not given, is now `nnz > 5`"),
        ("nnz > 5", "nnz > 'x'", "value_filter: `nnz > 'x'` at column 1 compares 'nnz', a column of int64, with 'x'"),
        ("nnz > 5", "nnz >", "value_filter: the filter does not parse"),
    ],
)
def test_another_filter_is_named_with_what_it_was_and_is(was: str | None, now: str | None, message: str) -> None:
    assert message in refusal(spec_of(value_filter=was), spec_of(value_filter=now))


def test_of_long_filters_the_part_that_differs_is_shown() -> None:
    labels = [f"tissue {number}" for number in range(1_000)]
    was, now = f"tissue in {labels}", f"tissue in {[*labels, 'tissue 77777']}"

    message = refusal(spec_of(value_filter=was), spec_of(value_filter=now))

    assert "'tissue 77777'" in message
    assert len(message) < 350


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [
        (None, GeneSelection(value_filter="nnz > 1"), "genes.value_filter was not given, is now `nnz > 1`"),
        (
            GeneSelection(feature_ids=("b", "a")),
            GeneSelection(feature_ids=("a", "c")),
            "genes.feature_ids: b taken out and c added. Materialize",
        ),
        (
            GeneSelection(feature_ids=tuple("abcdefg")),
            GeneSelection(feature_ids=("a",)),
            "genes.feature_ids: b, c, d and 3 more taken out. Materialize",
        ),
        (GeneSelection(feature_ids=("a",)), None, "genes.feature_ids was a list of 1, is now not given"),
    ],
)
def test_other_genes_are_named(was: GeneSelection | None, now: GeneSelection | None, message: str) -> None:
    assert message in refusal(spec_of(genes=was), spec_of(genes=now))


def test_the_same_genes_in_another_order_or_words_are_the_same_selection() -> None:
    was = GeneSelection(feature_ids=("b", "a", "c"), value_filter="nnz >= 10 and feature_id != 'x'")
    now = GeneSelection(feature_ids=("c", "a", "b"), value_filter='(10 <= nnz) & (feature_id != "x")')

    selection_of(spec_of(genes=was)).require_selected_by(spec_of(genes=now))
    assert selection_of(spec_of(genes=was)) == selection_of(spec_of(genes=now))


def test_every_attribute_that_differs_is_named_and_what_decides_the_files_does_not_count() -> None:
    was = spec_of(max_obs=1_000)
    now = spec_of(organism="mus_musculus", obs_columns=("sex", "tissue"), max_obs=None, value_filter="nnz > 1")

    assert refusal(was, now) == (
        "blood: the YAML no longer selects what filtered_subset has: organism was homo_sapiens, is now mus_musculus; "
        "value_filter was not given, is now `nnz > 1`; obs_columns: another order; max_obs was 1,000, is now not "
        "given. Materialize filtered_subset again, then chunk_plan; or put the YAML back"
    )
    selection_of(was).require_selected_by(spec_of(max_obs=1_000, chunk_size=7, layer="normalized", compression="lzf"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a == 1 & b", "a == 1 & b"),  # no filter: as it is
        ("a == True", "1 == a"),
        ("a == 2.0 and b in ['y', \"x\", 'x']", '((a == 2)) & (b in ["x", "y"])'),
        ("not (a == 1 or b == 2)", "a != 1 and b != 2"),
        ("a > -0.0", "0 < a"),
    ],
)
def test_a_plain_spelling_leaves_out_what_does_not_change_the_meaning(one: str, other: str) -> None:
    assert plain_spelling(one) == plain_spelling(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a == '1'", "a == 1"), ("a in [1]", "a == 1"), ("a == 0.5", "a == 0.25"), ("a == None", "a == 'None'")],
)
def test_a_plain_spelling_tells_other_filters_apart(one: str, other: str) -> None:
    assert plain_spelling(one) != plain_spelling(other)
