"""A subset has the cells and genes that the Census selects itself, and the columns that planning needs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cellxgene_census
import pandas as pd
import pyarrow as pa
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.errors import BadInput, WrongRecord
from cxg_assets.ingest.layout import subset_json_path
from cxg_assets.ingest.records import encode
from cxg_assets.ingest.selection.index import CensusIndex, export_index, write_index
from cxg_assets.ingest.selection.subset import Subset, load_subset, write_subset
from cxg_assets.ingest.spec import GeneSelection, SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets_tests.categories import as_in_subset
from cxg_assets_tests.conftest import BLOOD_NORMAL, N_OBS, WELL_MEASURED

get_obs: Any = cellxgene_census.get_obs
get_var: Any = cellxgene_census.get_var
MakeSpec = Callable[..., SubsetSpec]


@dataclass(frozen=True)
class Indexed:
    """A census index on disk, and var."""

    index: CensusIndex
    path: Path
    var: pa.Table
    layers: dict[str, str]


def make_indexed(uri: str, release: Release, path: Path) -> Indexed:
    with CensusLocator(uri=uri).open() as census:
        index = write_index(census, release, "homo_sapiens", path)
        return Indexed(index, path, census.var("homo_sapiens"), census.layers("homo_sapiens"))


@pytest.fixture(scope="module")
def indexed(census_uri: str, release: Release, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    return make_indexed(census_uri, release, tmp_path_factory.mktemp("subset") / "index.feather")


def subset_of(spec: SubsetSpec, indexed: Indexed, folder: Path) -> tuple[Subset, pd.DataFrame, pd.DataFrame]:
    """What is known of the subset, its obs and its var."""
    folder.mkdir(exist_ok=True)
    obs, var = folder / "obs.feather", folder / "var.feather"
    subset = write_subset(spec, indexed.index, indexed.path, indexed.var, indexed.layers, obs, var)
    with FeatherFile(obs) as obs_file, FeatherFile(var) as var_file:
        return subset, obs_file.read().to_pandas(), var_file.read().to_pandas()


@pytest.mark.parametrize("max_obs", [None, 1, 123, 10**6])
@pytest.mark.parametrize(
    "value_filter",
    [
        None,
        BLOOD_NORMAL,
        "nnz > 1500 and (sex == 'female' or raw_sum < 4000)",
        "disease in ['normal', 'no such disease'] and tissue_general != 'blood'",
        "soma_joinid >= 2599",
    ],
)
def test_the_cells_are_those_of_get_obs(
    spec: MakeSpec,
    indexed: Indexed,
    census: soma.Collection,
    tmp_path: Path,
    value_filter: str | None,
    max_obs: int | None,
) -> None:
    wanted = spec(value_filter=value_filter, max_obs=max_obs, obs_columns=("tissue", "nnz", "dataset_id"))

    subset, obs, _ = subset_of(wanted, indexed, tmp_path)

    names = obs.columns.tolist()
    expected = get_obs(census, "homo_sapiens", value_filter=value_filter, column_names=names)[names][:max_obs]
    pd.testing.assert_frame_equal(obs, as_in_subset(expected))
    assert (subset.n_obs, subset.n_obs_before) == (len(expected), N_OBS)


def test_plain_text_of_older_builds_is_filtered_alike(
    spec: MakeSpec, old_census: soma.Collection, old_census_uri: str, old_release: Release, tmp_path: Path
) -> None:
    old = make_indexed(old_census_uri, old_release, tmp_path / "index.feather")

    _, obs, _ = subset_of(spec(value_filter=BLOOD_NORMAL), old, tmp_path)

    names = obs.columns.tolist()
    expected = get_obs(old_census, "homo_sapiens", value_filter=BLOOD_NORMAL, column_names=names)[names]
    pd.testing.assert_frame_equal(obs, expected)
    assert len(obs) > 0


def test_planning_columns_are_carried_once(spec: MakeSpec, indexed: Indexed, tmp_path: Path) -> None:
    _, without, _ = subset_of(spec(obs_columns=("tissue",)), indexed, tmp_path)
    _, own, _ = subset_of(spec(obs_columns=("dataset_id", "tissue", "nnz")), indexed, tmp_path)

    assert without.columns.tolist() == ["soma_joinid", "tissue", "nnz", "dataset_id"]
    assert own.columns.tolist() == ["soma_joinid", "dataset_id", "tissue", "nnz"]


def test_the_genes_are_those_of_get_var(
    spec: MakeSpec, indexed: Indexed, census: soma.Collection, tmp_path: Path
) -> None:
    subset, _, var = subset_of(spec(), indexed, tmp_path)

    expected = get_var(census, "homo_sapiens", value_filter=WELL_MEASURED.value_filter)
    pd.testing.assert_frame_equal(var, expected)
    assert (subset.n_vars, subset.n_vars_before) == (len(expected), indexed.var.num_rows)


@pytest.mark.parametrize(
    "change",
    [
        {"value_filter": "nnz > 1000"},
        {"max_obs": 100},
        {"obs_columns": ("dataset_id", "donor_id", "cell_type", "is_primary_data")},
        {"genes": None},
    ],
    ids=str,
)
def test_what_changes_the_files_changes_the_fingerprint(
    spec: MakeSpec, indexed: Indexed, tmp_path: Path, change: dict[str, Any]
) -> None:
    before, *_ = subset_of(spec(), indexed, tmp_path)

    after, *_ = subset_of(spec(**change), indexed, tmp_path)

    assert after.fingerprint != before.fingerprint


def test_another_release_changes_the_fingerprint(spec: MakeSpec, indexed: Indexed, tmp_path: Path) -> None:
    other = replace(indexed.index, release=replace(indexed.index.release, fingerprint="0" * 64))

    before, *_ = subset_of(spec(), indexed, tmp_path)
    after, *_ = subset_of(spec(), replace(indexed, index=other), tmp_path)

    assert after.fingerprint != before.fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"chunk_size": 10}, {"chunk_size": 999}),
        ({"compression": "gzip", "layer": "raw"}, {"compression": "none", "layer": "normalized"}),
        ({"value_filter": "sex == 'male' and nnz > 5"}, {"value_filter": '(sex == "male") & (5 < nnz)'}),
        (
            {"genes": GeneSelection(feature_ids=("ENSG00000081237", "ENSG00000156738"))},
            {"genes": GeneSelection(feature_ids=("ENSG00000156738", "ENSG00000081237"))},
        ),
    ],
    ids=str,
)
def test_what_leaves_the_files_alone_leaves_the_fingerprint(
    spec: MakeSpec, indexed: Indexed, tmp_path: Path, one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, first_obs, first_var = subset_of(spec(**one), indexed, tmp_path / "one")
    second, second_obs, second_var = subset_of(spec(**other), indexed, tmp_path / "other")

    pd.testing.assert_frame_equal(first_obs, second_obs)
    pd.testing.assert_frame_equal(first_var, second_var)
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value_filter": "tissue == 'Blood '"}, "value_filter: no cell of 2,600 homo_sapiens cells passes"),
        ({"value_filter": "tisue == 'blood'"}, "value_filter.*tisue"),
        ({"value_filter": "tissue = 'blood'"}, "value_filter"),
        ({"obs_columns": ("tissue", "colour", "size")}, "obs_columns: obs has no colour, size; it has soma_joinid, "),
        ({"genes": GeneSelection(feature_ids=("TP35",))}, "genes.feature_ids: 1 of 1 are not in var"),
    ],
)
def test_what_does_not_fit_the_census_is_bad_input(
    spec: MakeSpec, indexed: Indexed, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        subset_of(spec(**change), indexed, tmp_path)


def test_what_is_known_of_a_subset_comes_back_from_json(spec: MakeSpec, indexed: Indexed, tmp_path: Path) -> None:
    subset, *_ = subset_of(spec(value_filter=BLOOD_NORMAL), indexed, tmp_path)

    store = StoreLocator(url=tmp_path.as_uri()).open()
    path, text = subset_json_path(subset.name, subset.fingerprint), encode(subset)
    store.put(path, text)
    assert load_subset(store, subset.name, subset.fingerprint) == subset
    store.put(path, text.replace(b"layers", b"layer_names"))
    said = "subset.json is not of this version of cxg_assets: layers: .*; materialize filtered_subset again"
    with pytest.raises(WrongRecord, match=said):
        load_subset(store, subset.name, subset.fingerprint)


def test_a_part_of_the_index_is_copied_out(indexed: Indexed, census: soma.Collection, tmp_path: Path) -> None:
    output = tmp_path / "blood.feather"

    n_obs = export_index(indexed.path, BLOOD_NORMAL, ["tissue", "soma_joinid"], output)

    expected = get_obs(census, "homo_sapiens", value_filter=BLOOD_NORMAL, column_names=["soma_joinid", "tissue"])
    with FeatherFile(output) as file:
        pd.testing.assert_frame_equal(file.read().to_pandas(), expected[["tissue", "soma_joinid"]])
    assert n_obs == len(expected)
    assert [file.name for file in tmp_path.iterdir()] == ["blood.feather"]


def test_a_copy_that_cannot_be_made_is_bad_input(indexed: Indexed, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="columns: obs has no colour; it has soma_joinid"):
        export_index(indexed.path, None, ["colour"], tmp_path / "a.feather")
    with pytest.raises(BadInput, match=f"output: {tmp_path}/no/a.feather cannot be written"):
        export_index(indexed.path, None, None, tmp_path / "no" / "a.feather")
    with pytest.raises(BadInput, match=f"output: {tmp_path} cannot be written"):
        export_index(indexed.path, None, ["tissue"], tmp_path)
    assert list(tmp_path.iterdir()) == []
