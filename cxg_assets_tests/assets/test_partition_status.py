"""What the UI shows of each chunk's partition: the truth, however chunks were made, failed or planned anew."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from cxg_assets.ingest.dataset.manifest import read_manifest
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.names import h5ad_chunks_key
from cxg_assets_tests.assets.ui import causes, data_versions, stale_assets, statuses
from cxg_assets_tests.platforms import Platform, Stages, failure_text, publish_all

KEYS = [f"{n:05d}" for n in range(6)]
RANGE = dg.define_asset_job("a_range", [h5ad_chunks_key("blood_normal")])

on_either_storage = pytest.mark.parametrize(
    "stages", ["our storage", "Dagster's storage"], ids=lambda name: name, indirect=True
)


@pytest.fixture(scope="module")
def folder_of_dagsters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dagsters")


@pytest.fixture
def stages(stages: Stages, folder_of_dagsters: Path, request: pytest.FixtureRequest) -> Stages:
    """On our event storage if the test does not name Dagster's."""
    ours = getattr(request, "param", "our storage") == "our storage"
    return stages if ours else replace(stages, folder=folder_of_dagsters, storage={})


def keeps_all(platform: Platform) -> bool:
    """Whether the instance cannot wipe single partitions."""
    return type(platform.instance.event_log_storage).__name__ == "SqliteEventLogStorage"


def all_but(key: str, status: str) -> dict[str, str]:
    return dict.fromkeys(KEYS, "MATERIALIZED") | {key: status}


@pytest.mark.parametrize("way", ["range", "missing"])
def test_a_chunk_that_failed_shows_so_until_it_was_made(prepared: Platform, way: str) -> None:
    def run() -> bool:
        made = prepared.make_range("00000", "00005") if way == "range" else prepared.make_missing()
        return made.success

    doomed = prepared.file(prepared.plan.chunks[3])
    doomed.mkdir(parents=True)
    assert not run()
    assert statuses(prepared) == all_but("00003", "FAILED")
    assert not run()
    assert statuses(prepared) == all_but("00003", "FAILED")
    doomed.rmdir()
    assert prepared.make_missing().success
    assert statuses(prepared) == all_but("00003", "MATERIALIZED")
    assert stale_assets(prepared, KEYS).keys().isdisjoint(KEYS)


def test_a_chunk_of_an_earlier_plan_that_fails_for_the_new_one_shows_so_until_it_was_made(stored: Platform) -> None:
    edited = stored.changed(compression="lzf")
    assert edited.prepare().success
    doomed = edited.file(edited.plan.chunks[3])
    doomed.mkdir(parents=True)

    assert not edited.make_missing().success

    assert statuses(edited) == all_but("00003", "FAILED")
    assert causes(edited, h5ad_chunks_key("blood_normal"), "00003")
    doomed.rmdir()
    assert edited.make_missing().success
    assert statuses(edited) == all_but("00003", "MATERIALIZED")
    assert data_versions(edited) == {chunk.key: chunk.fingerprint for chunk in edited.plan.chunks}


def test_a_chunk_that_shows_as_failed_but_is_stored_is_recorded_by_the_next_run(prepared: Platform) -> None:
    chunk = prepared.plan.chunks[3]
    elsewhere = prepared.file(chunk).with_suffix(".aside")
    assert prepared.make_missing().success
    prepared.file(chunk).rename(elsewhere)
    prepared.file(chunk).mkdir()
    assert not prepared.make_missing().success
    assert statuses(prepared) == all_but("00003", "FAILED")
    prepared.file(chunk).rmdir()
    elsewhere.rename(prepared.file(chunk))

    assert prepared.make_missing().success

    assert statuses(prepared) == dict.fromkeys(KEYS, "MATERIALIZED")
    assert [event.partition for event in prepared.chunk_events()].count("00003") == 2
    assert len(prepared.chunk_events()) == len(KEYS) + 1


@on_either_storage
def test_partitions_that_a_smaller_plan_took_away_come_back_in_order_and_not_made(published: Platform) -> None:
    smaller = published.changed(chunk_size=100)
    assert smaller.prepare().success
    assert statuses(smaller) == dict.fromkeys(KEYS[:3], "MATERIALIZED")
    other = published.changed(chunk_size=45)
    assert other.prepare().success

    back = "MATERIALIZED" if keeps_all(published) else "UNMATERIALIZED"
    assert list(statuses(other).items()) == [(key, "MATERIALIZED" if key < "00003" else back) for key in KEYS]
    if keeps_all(published):
        assert stale_assets(other, KEYS).keys() >= set(KEYS)
    assert other.make_missing(["00004"]).success
    assert statuses(other)["00004"] == "MATERIALIZED"
    assert "00004" not in stale_assets(other, KEYS)
    assert other.make_missing().success
    assert statuses(other) == dict.fromkeys(KEYS, "MATERIALIZED")
    assert stale_assets(other, KEYS).keys() == {"dataset"}


@on_either_storage
def test_a_failure_of_an_earlier_plan_does_not_come_back_with_its_partition(prepared: Platform) -> None:
    doomed = prepared.file(prepared.plan.chunks[4])
    doomed.mkdir(parents=True)
    assert not prepared.make_missing().success
    assert prepared.changed(chunk_size=100).prepare().success
    other = prepared.changed(chunk_size=45)
    assert other.prepare().success

    assert statuses(other)["00004"] == ("FAILED" if keeps_all(prepared) else "UNMATERIALIZED")


def test_a_plan_that_comes_back_after_a_smaller_one_shows_what_was_stored(published: Platform) -> None:
    times = {chunk.key: published.file(chunk).stat().st_mtime_ns for chunk in published.plan.chunks}
    publish_all(published.changed(chunk_size=100))
    assert published.prepare().success

    assert list(statuses(published).items()) == [(key, "MATERIALIZED") for key in KEYS]
    assert stale_assets(published, KEYS).keys() == {"00000", "00001", "00002", "dataset"}
    assert published.make_missing().success
    assert published.publish().success
    assert stale_assets(published, KEYS) == {}
    assert data_versions(published) == {chunk.key: chunk.fingerprint for chunk in published.plan.chunks}
    assert times == {chunk.key: published.file(chunk).stat().st_mtime_ns for chunk in published.plan.chunks}
    assert published.dataset_events()[0].metadata["plan_id"].value == published.plan.header.plan_id


def test_chunks_of_two_plans_with_the_same_fingerprint_are_not_taken_for_each_other(published: Platform) -> None:
    shorter = published.changed(max_obs=200)
    assert shorter.prepare().success
    assert [c.fingerprint for c in shorter.plan.chunks] == [c.fingerprint for c in published.plan.chunks[:5]]
    assert "00000 was not made from this plan" in failure_text(shorter.publish())

    assert shorter.make_missing().success
    assert shorter.publish().success

    manifest = read_manifest(shorter.store.get(read_dataset(shorter.store, "blood_normal").manifest_path))
    assert [row.uri for row in manifest] == [shorter.file(chunk).as_uri() for chunk in shorter.plan.chunks]


@pytest.mark.parametrize(
    ("end", "stored", "others"),
    [
        ("killed", "MATERIALIZING", "MATERIALIZING"),
        ("canceled", "MATERIALIZED", "UNMATERIALIZED"),
        ("failed", "FAILED", "FAILED"),
    ],
)
def test_a_range_that_was_planned_and_never_made_shows_how_its_run_ended_until_the_next_run(
    prepared: Platform, end: str, stored: str, others: str
) -> None:
    assert prepared.make_missing(["00000"]).success
    run = prepared.instance.create_run_for_job(
        dg.Definitions.merge(prepared.definitions, dg.Definitions(jobs=[RANGE])).resolve_job_def(RANGE.name),
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/asset_partition_range_start": KEYS[0], "dagster/asset_partition_range_end": KEYS[-1]},
    )
    if end == "canceled":
        prepared.instance.report_run_canceled(run)
    if end == "failed":
        prepared.instance.report_run_failed(run)
    assert statuses(prepared) == dict.fromkeys(KEYS, others) | {"00000": stored}

    assert prepared.make_missing().success

    assert statuses(prepared) == dict.fromkeys(KEYS, "MATERIALIZED")
    assert stale_assets(prepared, KEYS).keys() == {"dataset"}


def test_chunks_of_a_store_that_was_moved_are_known_and_are_recorded_where_they_are(published: Platform) -> None:
    Path(published.store_url.removeprefix("file://")).rename(published.instance.root_directory + "-moved")
    moved = replace(published, store_url=Path(published.instance.root_directory + "-moved").as_uri())

    assert moved.publish().success
    here = [moved.file(chunk).as_uri() for chunk in moved.plan.chunks]
    manifest = read_manifest(moved.store.get(read_dataset(moved.store, "blood_normal").manifest_path))
    assert [row.uri for row in manifest] == here
    assert len(moved.chunk_events()) == len(KEYS)

    assert moved.make_missing().success
    assert sorted(str(event.metadata["uri"].value) for event in moved.chunk_events()[: len(KEYS)]) == here
    assert statuses(moved) == dict.fromkeys(KEYS, "MATERIALIZED")
