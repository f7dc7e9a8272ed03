"""Who filters by one label is told, with counts, of the cells that hold it among several, and of names of many genes.

The demo census has both, as current releases have: `disease` with two values in one label, names of several genes.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cellxgene_census
import pandas as pd
import pyarrow as pa
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filters.label_traps import gene_name_warnings
from cxg_assets.ingest.filters.value_filter import parse_filter
from cxg_assets.ingest.filters.watch import FilterWatch
from cxg_assets.ingest.genes.select import select_genes
from cxg_assets.ingest.selection.index import export_index, make_index, write_index
from cxg_assets.ingest.selection.subset import make_subset
from cxg_assets.ingest.spec import GeneSelection, SubsetSpec
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets_tests.conftest import N_OBS

MakeSpec = Callable[..., SubsetSpec]

DIABETES = "type 2 diabetes mellitus"
KIDNEY = "chronic kidney disease"
BOTH = f"{DIABETES} || {KIDNEY}"


@pytest.fixture(scope="module")
def diseases(census: soma.Collection) -> pd.Series:
    get_obs: Any = cellxgene_census.get_obs
    return get_obs(census, "homo_sapiens", column_names=["disease"])["disease"].astype(str)


@pytest.fixture
def warnings_of(spec: MakeSpec, release: Release, index_store: Store, tmp_path: Path) -> Callable[..., list[str]]:
    def make(**changes: Any) -> list[str]:
        warnings: list[str] = []
        census, wanted = release.locator({}), spec(**changes)
        index = make_index(census, release, wanted.organism, index_store)
        store = StoreLocator(url=(tmp_path / "store").as_uri()).open()
        make_subset(wanted, index, index_store, census, store, warnings.append)
        return warnings

    return make


def watched(value_filter: str, diseases: Sequence[str | None], categories: list[str] | None = None) -> FilterWatch:
    """A watch over batches of three cells."""
    labels = pa.array(categories or sorted({disease for disease in diseases if disease is not None}))
    codes = pa.array([None if disease is None else labels.index(disease).as_py() for disease in diseases], pa.int8())
    table = pa.table({"disease": pa.DictionaryArray.from_arrays(codes, labels)})
    parsed = parse_filter(value_filter, table.schema)
    watch = FilterWatch(parsed)
    for batch in table.to_batches(max_chunksize=3):
        watch.see(batch, int(parsed.mask(batch).sum()))
    return watch


def test_an_equality_that_misses_cells_says_how_many_and_what_to_write(
    warnings_of: Callable[..., list[str]], diseases: pd.Series
) -> None:
    n_missed = int((diseases == BOTH).sum())
    assert n_missed > 0

    [warning] = warnings_of(value_filter=f"disease == '{DIABETES}'")

    assert warning == (
        f"value_filter: disease == '{DIABETES}' misses {n_missed} of {N_OBS:,} cells in which disease holds it among "
        f"several values: '{BOTH}' ({n_missed}). To select them as well, write disease in ['{DIABETES}', '{BOTH}']"
    )
    assert warnings_of(value_filter=f"disease in ['{DIABETES}', '{BOTH}']") == []


def test_an_inequality_that_keeps_cells_says_so_too(warnings_of: Callable[..., list[str]], diseases: pd.Series) -> None:
    n_kept = int((diseases == BOTH).sum())

    [one] = warnings_of(value_filter=f"disease != '{DIABETES}'")
    [other] = warnings_of(value_filter=f"disease not in ['{DIABETES}', 'normal']")

    assert f"keeps {n_kept} of {N_OBS:,} cells" in one
    assert one.endswith(f"To leave them out as well, write disease not in ['{DIABETES}', '{BOTH}']")
    assert other.endswith("holds one of them among several values: "
                          f"'{BOTH}' ({n_kept}). To leave them out as well, add them to the list")  # fmt: skip
    assert warnings_of(value_filter=f"disease not in ['{DIABETES}', '{BOTH}']") == []


@pytest.mark.parametrize(
    "value_filter",
    [
        None,
        "disease == 'normal'",
        f"disease == '{DIABETES}' or disease == '{BOTH}'",
        f"disease != '{DIABETES}' and disease != '{BOTH}'",
        f"disease == '{BOTH}'",
        "nnz > 10",
        "disease != None",
    ],
)
def test_a_filter_that_overlooks_nothing_brings_no_warning(
    warnings_of: Callable[..., list[str]], value_filter: str | None
) -> None:
    assert warnings_of(value_filter=value_filter) == []


def test_a_label_that_is_only_in_compound_values_selects_nothing_and_they_are_named(
    warnings_of: Callable[..., list[str]], diseases: pd.Series
) -> None:
    with pytest.raises(BadInput) as caught:
        warnings_of(value_filter=f"disease == '{KIDNEY}'")
    assert f"'{BOTH}' ({int((diseases == BOTH).sum())})" in str(caught.value)
    assert f"write disease in ['{KIDNEY}', '{BOTH}']" in str(caught.value)
    assert "no cell has" not in str(caught.value)


def test_a_label_of_a_list_that_is_nowhere_is_told_although_the_others_select_cells(
    warnings_of: Callable[..., list[str]],
) -> None:
    assert warnings_of(value_filter="tissue_general in ['blood', 'lungs']") == [
        "value_filter: no cell has tissue_general 'lungs' (the nearest: 'lung')"
    ]
    assert warnings_of(value_filter="disease != 'Normal'") == [
        "value_filter: no cell has disease 'Normal' (the nearest: 'normal')"
    ]


def test_cells_are_counted_over_all_batches_and_missing_values_are_none() -> None:
    cells = ["A", "A || B", None, "A || B", "C || A", None, "B", "A || B"]
    [warning] = watched("disease == 'A'", cells).warnings()
    assert "misses 4 of 8 cells" in warning
    assert "'A || B' (3), 'C || A' (1)" in warning


def test_a_compound_label_overlooks_those_that_have_its_parts_and_more() -> None:
    cells = ["A || C", "A || B || C", "A || B", "A"]
    [warning] = watched("disease == 'A || C'", cells).warnings()
    assert "'A || B || C' (1)." in warning
    assert watched("disease == 'A'", ["A", "AB || C", "B A || C"]).warnings() == []


def test_a_compound_value_that_no_cell_has_is_no_trap() -> None:
    assert watched("disease == 'A'", ["A", "B"], ["A", "A || B", "B"]).warnings() == []


def test_many_compound_values_are_counted_and_five_of_them_named() -> None:
    cells = ["A", *(f"A || {number}" for number in range(12))]
    [warning] = watched("disease == 'A'", cells).warnings()
    assert "misses 12 of 13 cells" in warning
    assert warning.count("(1)") == 5
    assert " and 7 more. " in warning
    assert warning.endswith(", …]")


def test_a_long_list_is_not_repeated_whole() -> None:
    labels = [f"label {number}" for number in range(5_000)]
    text = f"disease in {labels}"
    warnings = watched(text, ["label 1", "label 1 || x", "label 2"]).warnings()
    assert all(len(warning) < 500 for warning in warnings)
    assert len(warnings) == 7  # five labels that are nowhere, how many more, and the compound value


def test_a_dictionary_without_compound_values_costs_no_count() -> None:
    watch = watched("disease == 'A'", ["A", "B"] * 100)
    assert watch._n_by_code == {}


def test_a_name_of_several_genes_is_told_with_their_ids(census: soma.Collection, release: Release) -> None:
    get_var: Any = cellxgene_census.get_var
    expected = get_var(census, "homo_sapiens", value_filter="feature_name == 'PRAMEF36P'")["feature_id"].tolist()
    with release.locator({}).open() as opened:
        var = opened.var("homo_sapiens")

    def told(value_filter: str | None) -> list[str]:
        selection = None if value_filter is None else GeneSelection(value_filter=value_filter)
        return gene_name_warnings(selection, var, select_genes(var, selection))

    [kept] = told("feature_name in ['PRAMEF36P', 'CD3D']")
    [left_out] = told("feature_name != 'PRAMEF36P'")

    assert kept == (
        f"genes.value_filter: feature_name 'PRAMEF36P' stands for 2 genes, {', '.join(expected)}: all of them are "
        "kept. To keep one of them, write feature_id in place of feature_name"
    )
    assert "all of them are left out" in left_out
    assert told("feature_name == 'Y_RNA'")[0].count("ENSG") == 5
    for harmless in (None, "feature_name == 'CD3D'", "nnz > 10", f"feature_id == '{expected[0]}'"):
        assert told(harmless) == []
    assert told(f"feature_name == 'PRAMEF36P' and feature_id == '{expected[0]}'") == []


def test_a_copy_of_the_index_tells_the_same(release: Release, tmp_path: Path) -> None:
    index = tmp_path / "index.feather"
    with release.locator({}).open() as census:
        write_index(census, release, "homo_sapiens", index)
    warnings: list[str] = []
    export_index(index, f"disease == '{DIABETES}'", None, tmp_path / "out.feather", warnings.append)
    assert len(warnings) == 1
    with pytest.raises(BadInput, match=r"no cell of 2,600 cells passes .* \(the nearest: 'lung'\)"):
        export_index(index, "tissue_general == 'lungs'", None, tmp_path / "nothing.feather")
    assert not (tmp_path / "nothing.feather").exists()
