"""`descendants(term)` in filters: the term and all below it, as a walk over the table finds them."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filters import ontologies
from cxg_assets.ingest.filters.label_traps import in_words
from cxg_assets.ingest.filters.ontologies import ONTOLOGIES_OF, descendants, versions
from cxg_assets.ingest.filters.spelling import plain_spelling
from cxg_assets.ingest.filters.value_filter import parse_filter
from cxg_assets.ingest.filters.watch import FilterWatch

LYMPHOCYTE, T_CELL, B_CELL, MONOCYTE = "CL:0000542", "CL:0000084", "CL:0000236", "CL:0000576"
TERM = pa.dictionary(pa.int16(), pa.string())
SCHEMA = pa.schema([(name, TERM) for name in ONTOLOGIES_OF] + [("cell_type", TERM), ("nnz", pa.int64())])


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    frame = pq.read_table(Path(ontologies.__file__).with_name("ontologies.parquet")).to_pandas()
    return frame.assign(parents=[[frame.term[row] for row in parents] for parents in frame.parents])


@pytest.fixture(scope="module")
def parents(table: pd.DataFrame) -> dict[str, list[str]]:
    return dict(zip(table.term, table.parents, strict=True))


def ancestors(parents: dict[str, list[str]], term: str) -> set[str]:
    found: set[str] = set()
    left = [term]
    while left:
        left = [parent for child in left for parent in parents[child] if parent not in found]
        found.update(left)
    return found


def test_the_table_has_the_six_ontologies_and_each_term_once(table: pd.DataFrame) -> None:
    assert set(table.term.str.partition(":")[0]) == set(versions())
    assert set(versions()) == {name for names in ONTOLOGIES_OF.values() for name in names}
    assert table.term.is_unique
    assert table.label.notna().all()


@pytest.mark.parametrize("term", [LYMPHOCYTE, "UBERON:0000955", "MONDO:0005550", "EFO:0008995", "HsapDv:0000264"])
def test_descendants_are_the_term_and_those_that_have_it_among_their_ancestors(
    parents: dict[str, list[str]], term: str
) -> None:
    expected = {term} | {other for other in parents if term in ancestors(parents, other)}

    found = descendants(term)

    assert list(found) == sorted(expected)
    assert len(found) > 1


def test_lymphocytes_are_t_and_b_cells_and_no_monocytes() -> None:
    assert {T_CELL, B_CELL, LYMPHOCYTE} <= set(descendants(LYMPHOCYTE))
    assert MONOCYTE not in descendants(LYMPHOCYTE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"cell_type_ontology_term_id in descendants('{LYMPHOCYTE}')", [True, False, True, False]),
        (f"cell_type_ontology_term_id not in descendants('{LYMPHOCYTE}')", [False, True, False, False]),
        (f"not cell_type_ontology_term_id in descendants('{LYMPHOCYTE}')", [False, True, False, False]),
        (f"not (cell_type_ontology_term_id in descendants('{LYMPHOCYTE}') or nnz > 3)", [False, True, False, False]),
    ],
)
def test_cells_of_a_type_and_of_all_types_below_it_are_selected(text: str, expected: list[bool]) -> None:
    terms = pa.array([T_CELL, MONOCYTE, B_CELL, None]).dictionary_encode()
    batch = pa.record_batch({"cell_type_ontology_term_id": terms, "nnz": pa.array([1, 2, 3, 4])})

    value_filter = parse_filter(text, batch.schema)

    assert value_filter.mask(batch).tolist() == expected
    assert parse_filter(value_filter.canonical, batch.schema).canonical == value_filter.canonical
    assert T_CELL in value_filter.canonical


def test_a_disease_among_several_is_found_by_contains() -> None:
    influenza, covid, diabetes = "MONDO:0005812", "MONDO:0100096", "MONDO:0005148"
    labels = [f"{diabetes} || {covid}", influenza, diabetes, "PATO:0000461", None]
    batch = pa.record_batch({"disease_ontology_term_id": pa.array(labels).dictionary_encode()})
    text = "contains(disease_ontology_term_id, descendants('MONDO:0005550'))"  # infectious disease

    assert parse_filter(text, batch.schema).mask(batch).tolist() == [True, True, False, False, False]
    assert parse_filter(f"not {text}", batch.schema).mask(batch).tolist() == [False, False, True, True, False]


def test_types_that_no_cell_has_are_not_told_and_values_that_are_overlooked_are(census: soma.Collection) -> None:
    text = "disease_ontology_term_id in descendants('MONDO:0005550')"
    terms = pa.array(["MONDO:0005148 || MONDO:0100096", "MONDO:0005812"]).dictionary_encode()
    batch = pa.record_batch({"disease_ontology_term_id": terms})
    value_filter = parse_filter(text, batch.schema)
    watch = FilterWatch(value_filter)

    watch.see(batch, 1)

    [warning] = watch.warnings()
    assert warning.startswith(
        "value_filter: disease_ontology_term_id in descendants('MONDO:0005550') misses 1 of 2 cells"
    )
    assert "write contains(disease_ontology_term_id, descendants('MONDO:0005550'))" in warning
    assert in_words(value_filter.conditions[0]) == text


def test_the_same_filter_is_the_same_without_a_schema() -> None:
    one = f"cell_type_ontology_term_id in descendants('{LYMPHOCYTE}')"

    assert plain_spelling(f"( {one.replace(chr(39), chr(34))} )") == plain_spelling(one) == one
    assert plain_spelling("contains(tissue_ontology_term_id, descendants('UBERON:0000955'))") == (
        "contains(tissue_ontology_term_id, descendants('UBERON:0000955'))"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell_type_ontology_term_id in descendants('CL:9999999')", "CL v2025-07-30 has no term 'CL:9999999'"),
        ("cell_type_ontology_term_id in descendants('lymphocyte')", "'lymphocyte' is a label; its id is CL:0000542"),
        ("cell_type_ontology_term_id in descendants('lymphocites')", "did you mean CL:0000542, lymphocyte?"),
        ("cell_type_ontology_term_id in descendants(3)", "needs the id of a term. Write descendants('CL:0000542')"),
        ("cell_type_ontology_term_id in descendants()", "needs the id of a term"),
        ("cell_type_ontology_term_id in descendants('CL:0000542', 'x')", "needs the id of a term"),
        ("cell_type_ontology_term_id == descendants('CL:0000542')", "is a function call"),
        (
            "cell_type in descendants('CL:0000542')",
            "looks for terms of CL in 'cell_type', which has none. Filter on cell_type_ontology_term_id or ",
        ),
        ("assay_ontology_term_id in descendants('CL:0000542')", "looks for terms of CL in 'assay_ontology_term_id'"),
        ("diseases in descendants('CL:0000542')", "names the column 'diseases', which is not there"),
    ],
)
def test_what_is_no_term_of_the_column_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_filter(text, SCHEMA)

    assert message in str(caught.value)
    assert str(caught.value).startswith("value_filter: `")
