"""A run over chunks that are stored already says that it wrote nothing, and tells no old figure as a new one."""

from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from cxg_assets.assets import h5ad_chunks
from cxg_assets.assets.recording import ChunkRecorder
from cxg_assets.ingest.chunks.report import ChunkReport, Costs, RunSummary
from cxg_assets.names import h5ad_chunks_key
from cxg_assets.resources.workers import LaunchError
from cxg_assets.ui.metadata import chunk_metadata, report_from
from cxg_assets_tests.assets.ui import statuses
from cxg_assets_tests.platforms import Platform

KEYS = [f"{n:05d}" for n in range(6)]
SECONDS = {"read_seconds", "encode_seconds", "upload_seconds"}
OF_THE_WRITING = {"cells_per_second", "nnz_decoded", *asdict(Costs())} | SECONDS
"""What a page that shows a new time must not show beside it."""


def latest_events(platform: Platform) -> dict[str, dg.AssetMaterialization]:
    """The newest event of each chunk."""
    return {str(event.partition): event for event in reversed(platform.chunk_events())}


def files(platform: Platform) -> dict[str, tuple[int, int]]:
    """Which files there are, and when each was written."""
    found = {chunk.key: platform.file(chunk).stat() for chunk in platform.plan.chunks}
    return {key: (facts.st_ino, facts.st_mtime_ns) for key, facts in found.items()}


def log_lines(platform: Platform, run_id: str) -> list[str]:
    """What a run said, besides events."""
    return [entry.user_message for entry in platform.instance.all_logs(run_id) if not entry.is_dagster_event]


def event_lines(platform: Platform, run_id: str) -> list[str]:
    """What the log shows of a run's chunks."""
    entries = platform.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    return [str(entry.get_dagster_event().message) for entry in entries]


def outcome(platform: Platform) -> dict[str, Any]:
    """The newest observation of the chunks."""
    [record] = platform.instance.fetch_observations(h5ad_chunks_key(platform.spec.name), limit=1).records
    assert record.asset_observation is not None
    return {name: value.value for name, value in record.asset_observation.metadata.items()}


def test_a_range_over_stored_chunks_says_so_of_each_and_keeps_its_time(stored: Platform) -> None:
    before, written = latest_events(stored), files(stored)

    first = stored.make_range("00000", "00005")
    second = stored.make_range("00000", "00005")

    assert first.success
    assert second.success
    assert files(stored) == written
    assert len(stored.chunk_events()) == 3 * len(KEYS)
    for key, event in latest_events(stored).items():
        metadata: dict[str, Any] = dict(event.metadata)
        assert metadata["already_stored"].value is True
        assert metadata["stored_at"] == before[key].metadata["stored_at"]
        assert not OF_THE_WRITING & set(metadata)
        figures = {name: value.value for name, value in before[key].metadata.items() if name in OF_THE_WRITING}
        assert metadata["figures_when_written"].value == figures
        # What is true of the file whoever looks stays a figure of the event.
        assert {"n_obs", "n_bytes", "nnz", "sha256", "uri", "cell_types"} <= set(metadata)
        assert report_from(event.metadata) == report_from(before[key].metadata)
        assert "already_stored" not in before[key].metadata


def test_the_log_of_such_a_run_says_that_nothing_was_written(stored: Platform) -> None:
    result = stored.make_range("00000", "00005")

    assert log_lines(stored, result.run_id)[:2] == [
        "6 chunks requested: 6 already stored, 0 to write",
        "nothing was written: all 6 chunks requested were already stored",
    ]
    times = {event.partition: event.metadata["stored_at"].value for event in stored.chunk_events()}
    for key, line in zip(KEYS, event_lines(stored, result.run_id), strict=True):
        when = datetime.fromtimestamp(float(str(times[key])), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        assert line == f"chunk {key} was already stored, at {when}; it was not written again"


def test_the_outcome_of_such_a_run_says_that_nothing_was_written(stored: Platform) -> None:
    assert stored.make_range("00001", "00001").success

    told = outcome(stored)
    assert (told["n_files"], told["n_skipped"], told["n_failed"], told["n_obs"], told["total_bytes"]) == (0, 1, 0, 0, 0)
    assert "| Outcome | nothing was written: the chunk requested was already stored |" in told["summary"]
    assert "Throughput" not in told["summary"]


def test_a_range_that_is_stored_in_part_tells_the_two_apart(stored: Platform) -> None:
    gone = stored.plan.chunks[2]
    written = files(stored)
    stored.file(gone).unlink()

    result = stored.make_range("00001", "00003")

    assert result.success
    assert log_lines(stored, result.run_id)[0] == "3 chunks requested: 2 already stored, 1 to write"
    events = latest_events(stored)
    assert [key for key, event in events.items() if "already_stored" in event.metadata] == ["00001", "00003"]
    assert set(events["00002"].metadata) >= OF_THE_WRITING
    assert {key: file for key, file in files(stored).items() if key != gone.key} == {
        key: file for key, file in written.items() if key != gone.key
    }
    told = outcome(stored)
    assert (told["n_files"], told["n_skipped"], told["n_obs"]) == (1, 2, gone.n_obs)
    assert "| Files | 1 written, 2 already stored, 0 failed |" in told["summary"]
    assert "Outcome" not in told["summary"]


def test_partitions_that_were_stored_already_show_as_materialized_when_their_run_fails(stored: Platform) -> None:
    """Why such a run records them at all: without an event they would show as failed."""
    doomed = stored.file(stored.plan.chunks[3])
    doomed.unlink()
    doomed.mkdir()

    assert not stored.make_range("00000", "00005").success

    assert statuses(stored) == dict.fromkeys(KEYS, "MATERIALIZED") | {"00003": "FAILED"}


def test_a_step_that_is_begun_again_does_not_tell_its_own_chunks_as_found(
    stored: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when Ray died after two of five chunks; the first was stored before."""
    for chunk in stored.plan.chunks[1:]:
        stored.file(chunk).unlink()
    record, n_written = ChunkRecorder.record, 0

    def record_two(self: ChunkRecorder, report: ChunkReport, *, already_stored: bool = False) -> None:
        nonlocal n_written
        record(self, report, already_stored=already_stored)
        n_written += not already_stored
        if n_written == 2 and not already_stored:
            raise LaunchError("Ray died")

    monkeypatch.setattr(h5ad_chunks, "LAUNCH_RETRIES", dg.RetryPolicy(max_retries=1, delay=0))
    monkeypatch.setattr(ChunkRecorder, "record", record_two)
    n_before = len(stored.chunk_events())

    assert stored.make_range("00000", "00005").success

    found = [event.partition for event in stored.chunk_events()[:-n_before] if "already_stored" in event.metadata]
    # Which of the others the first try had stored without telling is for the store to say; the two it told of are not.
    assert found.count("00000") == 1
    assert not {"00001", "00002"} & set(found)
    assert statuses(stored) == dict.fromkeys(KEYS, "MATERIALIZED")


def test_a_chunk_that_another_machine_stored_has_the_time_of_its_file(stored: Platform) -> None:
    stored.instance.wipe_assets([h5ad_chunks_key(stored.spec.name)])

    assert stored.make_missing().success

    for chunk in stored.plan.chunks:
        event = latest_events(stored)[chunk.key]
        assert event.metadata["already_stored"].value is True
        assert event.metadata["stored_at"].value == pytest.approx(stored.file(chunk).stat().st_mtime, abs=1e-3)
        assert "figures_when_written" not in event.metadata


def test_a_dataset_keeps_the_figures_of_the_writing_after_such_a_run(stored: Platform) -> None:
    expected = sum(report_from(event.metadata).nnz_decoded for event in stored.chunk_events())
    assert stored.make_range("00000", "00005").success

    assert stored.publish().success

    assert stored.dataset_events()[0].metadata["nnz_decoded"].value == expected > 0


@pytest.mark.parametrize("known", [True, False])
def test_a_report_comes_back_from_the_metadata_of_a_stored_chunk(known: bool) -> None:
    texts = {"chunk": "00000", "fingerprint": "f", "uri": "file:///c", "sha256": "5", "worker": "here:1"}
    texts["split"] = "test"
    others = {*texts, "cell_types", "layer_nnz"}
    numbers: dict[str, Any] = {field.name: 3 for field in fields(ChunkReport) if field.name not in others}
    numbers |= dict.fromkeys([*SECONDS, "stored_at", "cpu_seconds", "read_requests"], 3.0)
    if not known:
        numbers |= dict.fromkeys(OF_THE_WRITING & numbers.keys(), 0)
    report = ChunkReport(**texts, **numbers, cell_types={"T cell": 3}, layer_nnz={"counts": 4})
    event = dg.AssetMaterialization("a", metadata=chunk_metadata(report, already_stored=True))

    assert report_from(event.metadata) == report


@pytest.mark.parametrize(("n_files", "n_failed"), [(1, 0), (0, 1)])
def test_a_run_that_wrote_or_failed_has_not_found_all(n_files: int, n_failed: int) -> None:
    facts = {"n_obs": 0, "total_bytes": 0, "ingest_seconds": 0, "workers": 1, "retries": 0}
    summary = RunSummary(**facts, n_files=n_files, n_skipped=5, n_failed=n_failed)

    assert summary.nothing_written == ""
