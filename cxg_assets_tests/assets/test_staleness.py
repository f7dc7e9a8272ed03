"""What the UI shows as stale after which change, and that it is fresh when only what changed was made again."""

from typing import Any

import dagster as dg
import pytest

from cxg_assets.ingest.plan import fingerprint
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.spec import GeneSelection
from cxg_assets.names import census_index_key, chunk_plan_key, filtered_subset_key, h5ad_chunks_key
from cxg_assets_tests.assets.ui import data_versions, stale_assets
from cxg_assets_tests.platforms import Platform, publish_all

NAME = "blood_normal"
SUBSET, PLAN = filtered_subset_key(NAME), chunk_plan_key(NAME)
CHUNKS = ["00000", "00003"]
OF_A_NEW_PLAN = {*CHUNKS, "dataset"}


def materialize(platform: Platform, *keys: dg.AssetKey) -> None:
    """Materializes these assets and nothing else."""
    definitions = dg.Definitions.merge(platform.definitions, dg.Definitions(jobs=[dg.define_asset_job("these", keys)]))
    assert definitions.resolve_job_def("these").execute_in_process(instance=platform.instance).success


def n_made(platform: Platform, key: dg.AssetKey) -> int:
    """How often an asset was materialized."""
    return len(platform.instance.fetch_materializations(key, limit=1_000).records)


def files_made(platform: Platform) -> int:
    """How many chunks the last run over chunks made."""
    [record] = platform.instance.fetch_observations(h5ad_chunks_key(NAME), limit=1).records
    assert record.asset_observation is not None
    return int(record.asset_observation.metadata["n_files"].value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "stale"),
    [
        ({"value_filter": "tissue_general == 'blood'"}, {"filtered_subset"}),
        ({"genes": GeneSelection(value_filter="n_measured_obs >= 20")}, {"filtered_subset"}),
        ({"obs_columns": ("cell_type",)}, {"filtered_subset"}),
        ({"max_obs": 220}, {"filtered_subset"}),
        ({"chunk_size": 50}, {"chunk_plan"}),
        ({"layer": "normalized"}, {"chunk_plan"}),
        ({"compression": "lzf"}, {"chunk_plan"}),
        ({"genes_text": "fixed"}, {"chunk_plan"}),
        ({"format": "zarr", "compression": ""}, {"chunk_plan", *CHUNKS}),
        ({}, set()),
    ],
)
def test_an_edit_of_the_yaml_shows_at_once_on_what_it_is_about(
    published: Platform, changes: dict[str, Any], stale: set[str]
) -> None:
    assert stale_assets(published.changed(**changes)) == {key: ["CODE"] for key in stale}


@pytest.mark.parametrize(
    "changes",
    [
        {"value_filter": "tissue_general == 'blood'"},
        {"genes": GeneSelection(value_filter="n_measured_obs >= 20")},
        {"obs_columns": ("cell_type",)},
        {"max_obs": 220},
    ],
)
def test_after_new_cells_or_genes_all_below_the_index_is_stale_in_turn_and_then_fresh(
    published: Platform, changes: dict[str, Any]
) -> None:
    edited, index = published.changed(**changes), census_index_key("homo_sapiens")
    materialize(edited, SUBSET)
    assert stale_assets(edited).keys() == {"chunk_plan"}
    materialize(edited, PLAN)
    assert stale_assets(edited).keys() == OF_A_NEW_PLAN
    assert edited.make_missing().success
    assert stale_assets(edited).keys() == {"dataset"}
    assert edited.publish().success
    assert stale_assets(edited) == {}
    assert n_made(edited, index) == 1
    assert data_versions(edited) == {chunk.key: chunk.fingerprint for chunk in edited.plan.chunks}


@pytest.mark.parametrize("changes", [{"chunk_size": 30}, {"layer": "normalized"}, {"compression": "lzf"}])
def test_after_new_files_of_the_same_cells_the_subset_is_fresh_and_not_made_again(
    published: Platform, changes: dict[str, Any]
) -> None:
    edited = published.changed(**changes)
    materialize(edited, PLAN)
    assert stale_assets(edited).keys() == OF_A_NEW_PLAN
    assert edited.make_missing().success
    assert edited.publish().success
    assert stale_assets(edited) == {}
    assert n_made(edited, SUBSET) == 1


def test_with_more_chunks_than_dagster_looks_at_the_dataset_is_stale_after_a_new_plan(platform: Platform) -> None:
    many = publish_all(platform.changed(chunk_size=2))
    sample = ["00000", "00057", "00114"]
    assert len(many.plan.chunks) == 115
    assert stale_assets(many, sample) == {}

    edited = many.changed(compression="lzf")
    assert edited.prepare().success

    assert stale_assets(edited, sample).keys() == {*sample, "dataset"}
    assert edited.make_missing().success
    assert stale_assets(edited, sample).keys() == {"dataset"}
    assert edited.publish().success
    assert stale_assets(edited, sample) == {}


def test_another_chunk_size_that_gives_the_same_file_leaves_chunks_and_dataset_fresh(platform: Platform) -> None:
    one = publish_all(platform.changed(chunk_size=400))
    edited = one.changed(chunk_size=300)
    assert stale_assets(edited, ["00000"]) == {"chunk_plan": ["CODE"]}

    materialize(edited, PLAN)

    assert stale_assets(edited, ["00000"]) == {}


def test_a_new_chunk_format_makes_plan_and_chunks_stale_until_all_is_made_in_it(
    published: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = published.plan.header.plan_id
    monkeypatch.setattr(fingerprint, "ENCODING_VERSION", fingerprint.ENCODING_VERSION + 1)
    upgraded = published.changed()

    assert stale_assets(upgraded) == {key: ["CODE"] for key in ["chunk_plan", *CHUNKS]}
    materialize(upgraded, PLAN)
    assert upgraded.plan.header.plan_id != before
    assert stale_assets(upgraded).keys() == OF_A_NEW_PLAN
    assert upgraded.make_missing().success
    assert files_made(upgraded) == len(upgraded.plan.chunks)
    assert upgraded.publish().success
    assert stale_assets(upgraded) == {}
    assert n_made(upgraded, SUBSET) == 1


def test_a_yaml_that_is_as_it_was_makes_nothing_again_and_shows_all_fresh(published: Platform) -> None:
    first = published.plan
    publish_all(published.changed(compression="lzf"))
    assert stale_assets(published).keys() == {"chunk_plan"}
    assert published.prepare().success
    assert published.plan == first
    assert stale_assets(published).keys() == OF_A_NEW_PLAN

    assert published.make_missing().success
    assert published.publish().success

    assert files_made(published) == 0
    assert stale_assets(published, [chunk.key for chunk in first.chunks]) == {}
    assert data_versions(published) == {chunk.key: chunk.fingerprint for chunk in first.chunks}
    assert read_dataset(published.store, NAME).header.plan_id == first.header.plan_id
    assert len(published.chunk_events()) == 3 * len(first.chunks)
    assert published.make_missing().success
    assert len(published.chunk_events()) == 3 * len(first.chunks)
