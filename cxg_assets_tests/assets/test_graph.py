"""The graph as a whole: what is stale after which change, what a smaller plan removes, and what gets published."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anndata
import dagster as dg
import pandas as pd
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.names import (
    CENSUS_RELEASE,
    census_index_key,
    chunk_partitions,
    chunk_plan_key,
    dataset_key,
    filtered_subset_key,
    h5ad_chunks_key,
)
from cxg_assets_tests.platforms import Platform, failure_text

NAME = "blood_normal"


def stale(platform: Platform, key: dg.AssetKey, partition: str | None = None) -> str:
    """Dagster's own verdict on an asset or a partition: FRESH, STALE or MISSING."""
    graph = platform.definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(platform.instance, graph, LoadingContextForTest(platform.instance))
    return resolver.get_status(key, partition).value


def test_everything_is_fresh_after_a_run_from_end_to_end(published: Platform) -> None:
    for key in (census_index_key("homo_sapiens"), filtered_subset_key(NAME), chunk_plan_key(NAME), dataset_key(NAME)):
        assert stale(published, key) == "FRESH"
    assert {stale(published, h5ad_chunks_key(NAME), chunk.key) for chunk in published.plan.chunks} == {"FRESH"}


def test_an_edited_filter_makes_the_subset_stale_but_not_the_index(published: Platform) -> None:
    edited = published.changed(value_filter="tissue_general == 'blood'")
    assert stale(edited, filtered_subset_key(NAME)) == "STALE"
    assert stale(edited, census_index_key("homo_sapiens")) == "FRESH"


def test_an_edited_chunk_size_makes_the_plan_stale_but_not_the_subset(published: Platform) -> None:
    edited = published.changed(chunk_size=50)
    assert stale(edited, chunk_plan_key(NAME)) == "STALE"
    assert stale(edited, filtered_subset_key(NAME)) == "FRESH"


def test_chunks_are_stale_after_a_new_plan_and_fresh_after_an_equal_one(published: Platform) -> None:
    assert published.prepare().success
    assert {stale(published, h5ad_chunks_key(NAME), chunk.key) for chunk in published.plan.chunks} == {"FRESH"}
    edited = published.changed(chunk_size=50)
    assert edited.prepare().success
    assert stale(edited, h5ad_chunks_key(NAME), "00000") == "STALE"


def test_a_smaller_plan_takes_partitions_away_and_leaves_the_old_files(published: Platform) -> None:
    old = [published.file(chunk) for chunk in published.plan.chunks]
    edited = published.changed(chunk_size=100)
    assert edited.prepare().success

    assert list(published.instance.get_dynamic_partitions(f"{NAME}_chunks")) == ["00000", "00001", "00002"]
    assert chunk_partitions(NAME).name == f"{NAME}_chunks"
    assert all(file.is_file() for file in old)


def test_partitions_of_a_larger_plan_come_in_plan_order(prepared: Platform) -> None:
    assert prepared.changed(chunk_size=20).prepare().success
    assert list(prepared.instance.get_dynamic_partitions(f"{NAME}_chunks")) == [f"{n:05d}" for n in range(12)]


def test_the_observed_release_and_the_index_have_the_same_version(published: Platform) -> None:
    record = published.instance.get_latest_data_version_record(CENSUS_RELEASE)
    assert record is not None
    observation = record.asset_observation
    assert observation is not None
    version = (observation.tags or {})["dagster/data_version"]
    assert version == latest_data_version(published.instance, census_index_key("homo_sapiens"))


def test_the_published_dataset_points_to_files_that_hold_every_selected_cell_once(published: Platform, census) -> None:
    pointer = json.loads(published.store.get(f"{NAME}/dataset.json"))
    root = published.store_url.removeprefix("file://")
    manifest = pd.read_parquet(f"{root}/{pointer['manifest_path']}")
    joinids = [
        joinid
        for uri in manifest["uri"]
        for joinid in anndata.read_h5ad(uri.removeprefix("file://")).obs["soma_joinid"]
    ]
    obs = census["census_data"]["homo_sapiens"].obs
    selected = obs.read(value_filter=published.spec.value_filter, column_names=["soma_joinid"]).concat()
    assert joinids == selected["soma_joinid"].to_pylist()[: published.spec.max_obs]


def test_a_dataset_with_a_missing_chunk_is_not_published_and_the_chunk_is_named(prepared: Platform) -> None:
    assert prepared.make_missing(["00000", "00001", "00003", "00004", "00005"]).success
    result = prepared.publish()

    assert "00002 was not made from this plan" in failure_text(result)
    assert not prepared.store.exists(f"{NAME}/dataset.json")


def test_a_chunk_that_vanished_keeps_the_old_dataset_published(published: Platform) -> None:
    before = published.store.get(f"{NAME}/dataset.json")
    chunk = published.plan.chunks[1]
    with moved_away(published.file(chunk)):
        result = published.publish()

    assert f"chunk {chunk.key}: missing: {published.file(chunk).as_uri()} is not there" in failure_text(result)
    assert published.store.get(f"{NAME}/dataset.json") == before


@contextmanager
def moved_away(file: Path) -> Iterator[Path]:
    """Takes a file from its place for a while, and yields where it is."""
    aside = file.with_name(f"{file.name}.aside")
    file.rename(aside)
    try:
        yield aside
    finally:
        aside.replace(file)
