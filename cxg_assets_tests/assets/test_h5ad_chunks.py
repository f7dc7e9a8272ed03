"""One run, many partitions: what lands is recorded, what failed is named, a re-run makes only what is missing."""

from typing import Any

import anndata
import pytest

from cxg_assets.instance.partitions import summary_of
from cxg_assets.names import chunk_partitions, h5ad_chunks_key
from cxg_assets.ui.metadata import report_from
from cxg_assets_tests.platforms import Platform, failure_text

KEYS = ["00000", "00001", "00002", "00003", "00004", "00005"]


def test_a_range_is_one_run_that_records_each_chunk_once_with_its_figures(prepared: Platform) -> None:
    result = prepared.make_range("00000", "00005")

    assert result.success
    events = {str(event.partition): event for event in prepared.chunk_events()}
    assert sorted(events) == KEYS
    assert len(prepared.chunk_events()) == len(KEYS)
    for chunk in prepared.plan.chunks:
        event = events[chunk.key]
        metadata: dict[str, Any] = {name: value.value for name, value in event.metadata.items()}
        file = prepared.file(chunk)
        assert (event.tags or {})["dagster/data_version"] == chunk.fingerprint
        assert metadata["n_bytes"] == file.stat().st_size
        assert metadata["n_obs"] == chunk.n_obs
        assert anndata.read_h5ad(file).n_obs == chunk.n_obs
        assert metadata["uri"] == file.as_uri()
        assert metadata["cells_per_second"] > 0
        assert metadata["read_seconds"] > 0


def test_the_job_for_missing_chunks_makes_scattered_chunks_in_one_run(stored: Platform) -> None:
    gone = [chunk for chunk in stored.plan.chunks if chunk.key in ("00001", "00004")]
    kept = {chunk.key: stored.file(chunk).stat().st_mtime_ns for chunk in stored.plan.chunks if chunk not in gone}
    for chunk in gone:
        stored.file(chunk).unlink()
    assert stored.make_missing().success

    assert all(stored.file(chunk).is_file() for chunk in stored.plan.chunks)
    assert kept == {key: stored.file(c).stat().st_mtime_ns for c in stored.plan.chunks if (key := c.key) in kept}


def test_named_chunks_only_are_made(prepared: Platform) -> None:
    assert prepared.make_missing(["00002", "00005"]).success
    assert sorted(event.partition or "" for event in prepared.chunk_events()) == ["00002", "00005"]


def test_a_chunk_that_is_not_in_the_plan_is_refused(prepared: Platform) -> None:
    result = prepared.make_missing(["00099"])
    assert "chunk 00099 is not in plan" in failure_text(result)


def test_a_chunk_that_fails_for_good_leaves_the_others_stored_and_the_next_run_makes_only_it(
    prepared: Platform,
) -> None:
    doomed = prepared.plan.chunks[3]
    prepared.file(doomed).mkdir(parents=True)
    failed = prepared.make_range("00000", "00005")

    assert not failed.success
    status = prepared.instance.get_status_by_partition(
        h5ad_chunks_key("blood_normal"), KEYS, chunk_partitions("blood_normal")
    )
    assert status is not None
    assert {key: str(value and value.value) for key, value in status.items()} == {
        key: "FAILED" if key == doomed.key else "MATERIALIZED" for key in KEYS
    }
    assert "1 of 6 chunks failed: 00003" in failure_text(failed)

    prepared.file(doomed).rmdir()
    others = {c.key: prepared.file(c).stat().st_mtime_ns for c in prepared.plan.chunks if c != doomed}
    assert prepared.make_missing().success
    assert prepared.chunk_events()[0].partition == doomed.key
    assert len(prepared.chunk_events()) == len(KEYS)
    assert others == {c.key: prepared.file(c).stat().st_mtime_ns for c in prepared.plan.chunks if c != doomed}


def test_chunks_that_were_stored_unrecorded_are_recorded_from_their_files(stored: Platform) -> None:
    made = {event.partition: event.metadata["sha256"].value for event in stored.chunk_events()}
    stored.instance.wipe_assets([h5ad_chunks_key("blood_normal")])
    assert stored.make_missing().success

    recorded = {event.partition: event.metadata["sha256"].value for event in stored.chunk_events()}
    assert recorded == made
    assert {report_from(event.metadata).worker for event in stored.chunk_events()} == {""}


def test_a_range_over_stored_chunks_records_them_again_with_the_same_version(stored: Platform) -> None:
    before = {event.partition: (event.tags or {})["dagster/data_version"] for event in stored.chunk_events()}
    assert stored.make_range("00000", "00002").success

    again = stored.chunk_events()[:3]
    assert sorted(event.partition or "" for event in again) == KEYS[:3]
    assert all((event.tags or {})["dagster/data_version"] == before[event.partition] for event in again)


def test_a_runs_summary_is_its_own_though_another_run_has_ended_since(stored: Platform) -> None:
    first, second = (stored.make_missing().run_id for _ in range(2))
    key = h5ad_chunks_key(stored.spec.name)
    assert stored.instance.fetch_observations(key, limit=1).records[0].run_id == second
    summary = summary_of(stored.instance, first)
    assert summary is not None
    assert (summary.n_files, summary.n_skipped) == (0, len(stored.plan.chunks))
    assert summary_of(stored.instance, "11111111-1111-1111-1111-111111111111") is None


def test_a_run_leaves_its_summary_as_an_observation(stored: Platform) -> None:
    [record] = stored.instance.fetch_observations(h5ad_chunks_key("blood_normal"), limit=1).records
    assert record.asset_observation is not None
    values: dict[str, Any] = {name: value.value for name, value in record.asset_observation.metadata.items()}
    assert (values["n_files"], values["n_obs"], values["n_failed"], values["n_skipped"]) == (6, 230, 0, 0)
    assert values["mean_file_bytes"] == pytest.approx(values["total_bytes"] / 6)
    assert values["hours_per_million_obs"] == pytest.approx(1e6 / values["cells_per_second"] / 3600)


def test_without_a_plan_the_step_says_what_to_materialize(platform: Platform) -> None:
    result = platform.make_missing()
    assert not result.success
    assert "blood_normal/chunk_plan was never materialized" in failure_text(result)
