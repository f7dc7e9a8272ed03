"""`load_asset_value` and inputs of assets downstream give what was made, from a folder and from S3."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata
import cellxgene_census
import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
import tiledbsoma as soma
from anndata import AnnData
from dagster import DagsterInstance

from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.names import census_index_key, dataset_key, filtered_subset_key, h5ad_chunks_key
from cxg_assets_tests.conftest import BLOOD_NORMAL, Bucket
from cxg_assets_tests.platforms import Platform, publish_all

INDEX = census_index_key("homo_sapiens")
SUBSET = filtered_subset_key("blood_normal")
CHUNKS = h5ad_chunks_key("blood_normal")
DATASET = dataset_key("blood_normal")


def load(platform: Platform, key: dg.AssetKey, **arguments: Any) -> Any:
    return platform.definitions.load_asset_value(key, instance=platform.instance, **arguments)


def downstream(platform: Platform, *assets: dg.AssetsDefinition) -> dg.ExecuteInProcessResult:
    """Runs assets of a user's own beside those of the subset."""
    job = dg.define_asset_job("downstream", [asset.key for asset in assets])
    own = dg.Definitions(assets=assets, jobs=[job], resources={"io_manager": dg.mem_io_manager})
    definitions = dg.Definitions.merge(platform.definitions, own)
    return definitions.resolve_job_def("downstream").execute_in_process(
        instance=platform.instance, raise_on_error=False
    )


def files(platform: Platform) -> dict[str, Any]:
    return {chunk.key: anndata.read_h5ad(platform.file(chunk)) for chunk in platform.plan.chunks}


def assert_same(loaded: Any, expected: Any) -> None:
    pd.testing.assert_frame_equal(loaded.obs, expected.obs)
    assert (loaded.X != expected.X).nnz == 0


def test_a_chunk_is_loaded_by_its_partition(published: Platform) -> None:
    for key, expected in files(published).items():
        assert_same(load(published, CHUNKS, partition_key=key), expected)


def test_a_chunk_is_lazy_where_the_input_asks_for_it(published: Platform) -> None:
    lazy = load(published, CHUNKS, partition_key="00001", metadata={"load": "lazy"})
    assert type(lazy.X).__module__.startswith("dask.")
    assert (lazy.to_memory().X != files(published)["00001"].X).nnz == 0


def test_the_dataset_is_one_collection(published: Platform) -> None:
    expected: Any = anndata.concat(files(published).values(), merge="same")
    for how in ({}, {"load": "memory"}):
        collection = load(published, DATASET, metadata=how)
        assert list(collection.obs_names) == list(expected.obs_names)
        assert (collection[200:20:-3].X != expected[200:20:-3].X).nnz == 0


def test_the_index_is_the_obs_of_the_census(published: Platform, census: soma.Collection) -> None:
    expected = cellxgene_census.get_obs(census, "homo_sapiens")
    frame = load(published, INDEX)
    pd.testing.assert_frame_equal(frame.astype(str), expected.astype(str))
    few = load(published, INDEX, metadata={"columns": ["assay", "soma_joinid"]})
    pd.testing.assert_frame_equal(few.astype(str), expected[["assay", "soma_joinid"]].astype(str))
    table = load(published, INDEX, python_type=pa.Table)
    assert table.to_pandas().equals(frame)
    dataset = load(published, INDEX, python_type=pads.Dataset)
    blood = dataset.to_table(columns=["soma_joinid"], filter=pads.field("tissue_general") == "blood")
    wanted = cellxgene_census.get_obs(census, "homo_sapiens", value_filter="tissue_general == 'blood'")
    assert blood["soma_joinid"].to_pylist() == wanted["soma_joinid"].tolist()


def test_the_subset_is_the_cells_that_pass(published: Platform, census: soma.Collection) -> None:
    expected = cellxgene_census.get_obs(census, "homo_sapiens", value_filter=BLOOD_NORMAL)["soma_joinid"][:230]
    assert load(published, SUBSET)["soma_joinid"].tolist() == expected.tolist()
    assert load(published, SUBSET, python_type=pads.Dataset).count_rows() == 230


def test_assets_downstream_choose_by_type_and_metadata(published: Platform) -> None:
    expected = files(published)
    seen: dict[str, Any] = {}

    @dg.asset(
        ins={
            "chunks": dg.AssetIn(CHUNKS, metadata={"load": "lazy"}),
            "cells": dg.AssetIn(SUBSET, metadata={"columns": ["donor_id"]}),
            "index": dg.AssetIn(INDEX),
            "whole": dg.AssetIn(DATASET),
        }
    )
    def looks(chunks: dict[str, AnnData], cells: pa.Table, index: pads.Dataset, whole: Any) -> int:
        seen.update(chunks=list(chunks), cells=cells, index=index.count_rows(), whole=whole.shape)
        return sum(chunk.n_obs for chunk in chunks.values())

    result = downstream(published, looks)
    assert result.success
    assert result.output_for_node("looks") == 230
    assert seen["chunks"] == list(expected)
    assert seen["cells"].column_names == ["donor_id"]
    assert seen["index"] == 2_600
    assert seen["whole"] == (230, published.plan.header.subset.n_vars)


def test_chunks_that_are_not_stored_are_named_before_any_is_read(prepared: Platform) -> None:
    assert prepared.make_missing(["00000", "00002"]).success
    assert load(prepared, CHUNKS, partition_key="00002").n_obs == 40
    with pytest.raises(BadInput, match=r"chunk 00001 is not stored at .*; cxg-assets ingest blood_normal writes what"):
        load(prepared, CHUNKS, partition_key="00001")
    with pytest.raises(BadInput, match=r"blood_normal is not published at .*/store "):
        load(prepared, DATASET)

    @dg.asset(ins={"chunks": dg.AssetIn(CHUNKS)})
    def counts(chunks: dict[str, AnnData]) -> int:
        return len(chunks)

    result = downstream(prepared, counts)
    assert not result.success
    [event] = [event for event in result.all_events if event.is_step_failure]
    assert "chunks 00001, 00003, 00004, 00005 are not stored" in str(event.step_failure_data.error_display_string)


def test_the_dataset_is_what_is_published_though_another_plan_was_made(published: Platform) -> None:
    before = load(published, DATASET)
    changed = published.changed(chunk_size=100)
    assert changed.prepare().success
    with pytest.raises(BadInput, match="chunk 00001 is not stored"):
        load(changed, CHUNKS, partition_key="00001")
    after = load(changed, DATASET)
    assert [part.n_obs for part in after.adatas] == [part.n_obs for part in before.adatas]
    assert len(after.adatas) == 6


@pytest.mark.parametrize(
    ("key", "arguments", "said"),
    [
        (CHUNKS, {}, r"^blood_normal/h5ad_chunks: partition_key is missing, like '00000'; all chunks at once are"),
        (CHUNKS, {"partition_key": "00000", "metadata": {"load": "lazily"}}, "load: 'lazily' is unknown"),
        (SUBSET, {"metadata": {"columns": ["cell_typ"]}}, "columns: there is no cell_typ; there are soma_joinid, "),
    ],
)
def test_what_cannot_be_loaded_is_one_clear_error(
    published: Platform, key: dg.AssetKey, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        load(published, key, **arguments)


def test_without_an_instance_what_is_published_is_loaded(published: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    definitions = published.definitions
    dataset: Any = definitions.load_asset_value(DATASET)
    assert dataset.shape == (230, published.plan.header.subset.n_vars)
    subset: Any = definitions.load_asset_value(SUBSET)
    assert len(subset) == 230
    with pytest.raises(BadInput, match="it is not known which release is meant; set DAGSTER_HOME"):
        definitions.load_asset_value(INDEX)


def test_nothing_is_written_through_what_only_loads(published: Platform) -> None:
    @dg.asset(io_manager_key="asset_loader")
    def mine() -> int:
        return 1

    result = downstream(published, mine)
    assert not result.success
    [event] = [event for event in result.all_events if event.is_step_failure]
    assert "mine uses an IO manager that only loads the assets of cxg_assets" in str(
        event.step_failure_data.error_display_string
    )


@contextmanager
def platform_in_s3(
    folder: Path, s3: Bucket, census_uri: str, spec: SubsetSpec, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    for name, value in {
        "AWS_ENDPOINT_URL": s3.settings.endpoint_url,
        "AWS_REGION": s3.settings.region,
        "AWS_ACCESS_KEY_ID": s3.settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.settings.secret_access_key,
    }.items():
        monkeypatch.setenv(name, str(value))
    with DagsterInstance.local_temp(str(folder)) as instance:
        yield Platform(instance, spec, census_uri, f"{s3.url}/store")


def test_all_of_it_is_loaded_from_s3_too(
    tmp_path: Path,
    s3: Bucket,
    no_aws: None,
    census_uri: str,
    monkeypatch: pytest.MonkeyPatch,
    published: Platform,
) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    with platform_in_s3(home, s3, census_uri, published.spec, monkeypatch) as platform:
        publish_all(platform)
        expected = files(published)
        assert_same(load(platform, CHUNKS, partition_key="00004"), expected["00004"])
        lazy = load(platform, CHUNKS, partition_key="00004", metadata={"load": "lazy"})
        assert (lazy.to_memory().X != expected["00004"].X).nnz == 0
        joined: Any = anndata.concat(expected.values(), merge="same")
        collection = load(platform, DATASET)
        assert (collection[:].X != joined.X).nnz == 0
        assert load(platform, SUBSET).equals(load(published, SUBSET))
        assert load(platform, INDEX, python_type=pads.Dataset).count_rows() == 2_600


def test_a_subset_with_a_destination_of_its_own_is_loaded_from_there(
    published: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The default store is elsewhere: only the definition's own destination leads to the files.
    elsewhere = complete(subset_definitions(published.spec, published.store_url))
    monkeypatch.setenv("CXG_STORE_URL", f"{published.store_url}-other")
    chunk: Any = elsewhere.load_asset_value(CHUNKS, partition_key="00000", instance=published.instance)
    assert_same(chunk, files(published)["00000"])
