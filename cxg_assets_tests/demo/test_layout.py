"""How the arrays of the demo census are stored, against what the real builder's sources say."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tiledbsoma as soma

from cxg_assets.demo.experiment import rows_per_fragment
from cxg_assets.demo.layout import OBS_COLUMNS, OBS_TEXT_COLUMNS
from cxg_assets_tests.demo.conftest import N_OBS

LAYERS = ["raw", "normalized"]
N_VARS = 61_517


def filters(described: str, name: str) -> list[str]:
    return [each["name"] for each in json.loads(described)[name]["filters"]]


@pytest.mark.parametrize("layer", LAYERS)
def test_x_has_the_real_tiles_capacity_order_and_filters(census: soma.Collection, layer: str) -> None:
    x = census["census_data"]["homo_sapiens"].ms["RNA"].X[layer]
    stored = x.schema_config_options()
    dims = json.loads(stored.dims)
    assert [dims[f"soma_dim_{i}"]["tile"] for i in (0, 1)] == ["2048", "2048"]
    assert filters(stored.dims, "soma_dim_0") == ["ZSTD"]
    assert filters(stored.dims, "soma_dim_1") == ["BYTESHUFFLE", "ZSTD"]
    assert filters(stored.attrs, "soma_data") == (["BYTESHUFFLE", "ZSTD"] if layer == "raw" else ["ZSTD"])
    assert (stored.capacity, stored.allows_duplicates) == (65_536, True)
    assert (stored.tile_order, stored.cell_order) == ("row-major", "row-major")
    assert x.shape == (N_OBS, N_VARS)
    assert x.schema.field("soma_data").type == pa.float32()


@pytest.mark.parametrize("layer", LAYERS)
def test_x_has_two_or_more_fragments(census_path: Path, layer: str) -> None:
    fragments = census_path / "census_data" / "homo_sapiens" / "ms" / "RNA" / "X" / layer / "__fragments"
    assert len(list(fragments.iterdir())) >= 2


@pytest.mark.parametrize(
    ("n_obs", "rows"),
    [(200, 100), (2_001, 1_001), (5_000, 4_096), (20_000, 8_192), (131_072, 8_192), (10_000_000, 16_384)],
)
def test_fragments_grow_with_the_census(n_obs: int, rows: int) -> None:
    assert rows_per_fragment(n_obs) == rows


def test_obs_has_the_real_columns_and_types(census: soma.Collection) -> None:
    obs = census["census_data"]["homo_sapiens"].obs
    assert tuple(obs.schema.names) == OBS_COLUMNS
    assert len(OBS_COLUMNS) == 28
    for name in OBS_TEXT_COLUMNS:
        assert obs.schema.field(name).type == pa.dictionary(pa.int8(), pa.large_string())
    numbers = {
        "soma_joinid": pa.int64(),
        "is_primary_data": pa.bool_(),
        "observation_joinid": pa.large_string(),
        "raw_sum": pa.float64(),
        "nnz": pa.int64(),
        "raw_mean_nnz": pa.float64(),
        "raw_variance_nnz": pa.float64(),
        "n_measured_vars": pa.int64(),
    }
    assert {name: obs.schema.field(name).type for name in numbers} == numbers
    assert set(numbers) | set(OBS_TEXT_COLUMNS) == set(OBS_COLUMNS)


def test_obs_and_var_have_the_real_capacity_and_filters(census: soma.Collection) -> None:
    human = census["census_data"]["homo_sapiens"]
    obs, var = human.obs.schema_config_options(), human.ms["RNA"].var.schema_config_options()
    for stored in (obs, var):
        assert (stored.capacity, stored.allows_duplicates) == (65_536, True)
        assert filters(stored.dims, "soma_joinid") == ["DOUBLE_DELTA", "ZSTD"]
        assert [each["name"] for each in json.loads(stored.offsets_filters)] == ["DOUBLE_DELTA", "ZSTD"]
        assert filters(stored.attrs, "nnz") == ["BYTESHUFFLE", "ZSTD"]
    assert filters(obs.attrs, "cell_type") == filters(var.attrs, "feature_name") == ["ZSTD"]


def test_dictionaries_hold_the_terms_in_use_in_alphabetical_order(census: soma.Collection) -> None:
    obs = census["census_data"]["homo_sapiens"].obs.read().concat()
    for name in OBS_TEXT_COLUMNS:
        labels = obs[name].chunk(0).dictionary.to_pylist()
        assert labels == sorted(set(obs[name].to_pylist())), name


def test_var_and_presence_have_the_real_types(census: soma.Collection) -> None:
    rna = census["census_data"]["homo_sapiens"].ms["RNA"]
    assert rna.var.schema.names == [
        "soma_joinid",
        "feature_id",
        "feature_name",
        "feature_type",
        "feature_length",
        "nnz",
        "n_measured_obs",
    ]
    assert [field.type for field in rna.var.schema] == [pa.int64()] + [pa.large_string()] * 3 + [pa.int64()] * 3
    presence = rna["feature_dataset_presence_matrix"]
    assert presence.schema.field("soma_data").type == pa.bool_()
    assert presence.shape[1] == N_VARS


def test_census_info_has_the_real_tables(census: soma.Collection) -> None:
    info = census["census_info"]
    assert set(info) == {"summary", "datasets", "summary_cell_counts", "organisms"}
    assert set(info["datasets"].schema.names) == {
        "soma_joinid",
        "citation",
        "collection_id",
        "collection_name",
        "collection_doi",
        "collection_doi_label",
        "dataset_id",
        "dataset_version_id",
        "dataset_title",
        "dataset_h5ad_path",
        "dataset_total_cell_count",
    }
    datasets = info["datasets"].read().concat().to_pandas()
    assert datasets.collection_doi.str.startswith("10.5555/").all()
    assert datasets.collection_name.str.startswith("Demo").all()
    assert datasets.dataset_title.str.startswith("Demo").all()
    np.testing.assert_array_equal(datasets.soma_joinid, np.arange(len(datasets)))
