"""What the command says of an asset being Unsynced is what the UI says, with the same causes."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from cxg_assets.ingest.plan.fingerprint import ENCODING_VERSION
from cxg_assets.ingest.spec import GeneSelection
from cxg_assets.instance.partitions import chunk_record
from cxg_assets.instance.provenance import release_observation
from cxg_assets.instance.sync_status import SyncStatus, sync_status
from cxg_assets.names import chunk_plan_key, dataset_key, filtered_subset_key, h5ad_chunks_key
from cxg_assets_tests.assets.ui import reasons
from cxg_assets_tests.platforms import Platform

NAME = "blood_normal"
SUBSET, PLAN, CHUNKS, DATASET = (
    key(NAME) for key in (filtered_subset_key, chunk_plan_key, h5ad_chunks_key, dataset_key)
)
Told = dict[str, Counter[str]]


def by_status(platform: Platform) -> dict[str, SyncStatus]:
    plan = platform.plan
    record = chunk_record(platform.instance, plan, platform.store)
    statuses = sync_status(platform.definitions, platform.instance, plan, record)
    assert [status.key for status in statuses] == [SUBSET, PLAN, CHUNKS, DATASET]
    return {status.key.path[-1]: status for status in statuses}


def told_by_status(platform: Platform) -> Told:
    """By asset: how many of its partitions are Unsynced for which causes, or missing."""
    told: Told = {}
    for name, status in by_status(platform).items():
        told[name] = Counter({"; ".join(sorted(causes)): n for causes, n in status.unsynced.items()})
        if status.n_missing:
            told[name]["MISSING"] = status.n_missing
        assert status.is_in_sync == (not told[name])
    return told


def told_by_the_ui(platform: Platform) -> Told:
    """The same as the UI tells it, asked about every single partition."""
    partitions = {key: [None] for key in (SUBSET, PLAN, DATASET)} | {CHUNKS: [c.key for c in platform.plan.chunks]}
    told: Told = {}
    for key in (SUBSET, PLAN, CHUNKS, DATASET):
        listed = [_counted(reasons(platform, key, partition)) for partition in partitions[key]]
        told[key.path[-1]] = Counter(text for text in listed if text)
    return told


def _counted(causes: list[str]) -> str:
    counts = Counter(causes)
    return "; ".join(sorted(text if n == 1 else f"{text} ({n} partitions)" for text, n in counts.items()))


def assert_alike(platform: Platform) -> Told:
    told = told_by_status(platform)
    assert told == told_by_the_ui(platform)
    return told


EDITS: list[tuple[dict[str, Any], str]] = [
    ({"value_filter": "tissue_general == 'lung'"}, "filtered_subset"),
    ({"value_filter": None}, "filtered_subset"),
    ({"genes": GeneSelection(feature_ids=("ENSG00000000003",))}, "filtered_subset"),
    ({"obs_columns": ("cell_type",)}, "filtered_subset"),
    ({"max_obs": 229}, "filtered_subset"),
    ({"chunk_size": 41}, "chunk_plan"),
    ({"layer": "normalized"}, "chunk_plan"),
    ({"compression": "lzf"}, "chunk_plan"),
]


@pytest.mark.parametrize(("changes", "asset"), EDITS, ids=str)
def test_after_an_edit_of_the_yaml_both_say_which_asset_has_a_new_code_version(
    published: Platform, changes: dict[str, Any], asset: str
) -> None:
    told = assert_alike(published.changed(**changes))

    assert {name: dict(counts) for name, counts in told.items() if counts} == {
        asset: {f"{NAME}/{asset} has a new code version": 1}
    }


def test_an_organism_of_another_index_is_a_new_dependency_in_both(published: Platform) -> None:
    told = assert_alike(published.changed(organism="mus_musculus"))

    [causes] = told["filtered_subset"]
    assert "has a new dependency on mus_musculus/census_index" in causes
    assert f"{NAME}/filtered_subset has a new code version" in causes
    assert "removed dependency on homo_sapiens/census_index" in causes


def test_what_is_in_sync_is_so_in_both(published: Platform) -> None:
    assert assert_alike(published) == {name: Counter() for name in by_status(published)}


def test_a_new_release_is_named_by_both_for_every_asset_and_every_chunk(published: Platform) -> None:
    newer = replace(published.plan.header.subset.release, build="2099-01-01")
    published.instance.report_runless_asset_event(release_observation(newer))

    told = assert_alike(published)

    because = "census_release has a new data version"
    of_one = {name: {because: 1} for name in ("filtered_subset", "chunk_plan", "dataset")}
    assert told == of_one | {"h5ad_chunks": {because: 6}}


def test_of_a_new_plan_both_count_the_chunks_that_are_still_of_the_old_one(published: Platform) -> None:
    edited = published.changed(compression="lzf")
    assert edited.prepare().success
    assert edited.make_missing(["00001", "00004"]).success

    told = assert_alike(edited)

    assert told["h5ad_chunks"] == {f"{NAME}/chunk_plan has a new data version": 4}
    [causes] = told["dataset"]
    assert f"{NAME}/chunk_plan has a new data version" in causes
    assert f"{NAME}/h5ad_chunks has a new data version (2 partitions)" in causes


def test_chunks_that_were_never_made_are_counted_as_that_by_both(prepared: Platform) -> None:
    assert prepared.make_missing(["00002"]).success

    told = assert_alike(prepared)

    assert told["h5ad_chunks"] == {"MISSING": 5}
    assert told["dataset"] == {"MISSING": 1}


def test_a_new_format_of_chunks_is_named_by_both(published: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxg_assets.ingest.plan.fingerprint.ENCODING_VERSION", ENCODING_VERSION + 1)

    assert assert_alike(published)["h5ad_chunks"] == {f"{NAME}/h5ad_chunks has a new code version": 6}
