"""The rates of a run come from what it made itself."""

import pytest

from cxg_assets.ingest.chunks.report import RunSummary


def summary(**changes: float) -> RunSummary:
    measured = {
        "n_obs": 36_000,
        "n_files": 4,
        "n_skipped": 0,
        "n_failed": 0,
        "total_bytes": 1_000_000,
        "ingest_seconds": 18.0,
        "workers": 2,
        "retries": 0,
    }
    return RunSummary(**measured | changes)  # type: ignore[arg-type]


def test_rates_follow_from_cells_bytes_and_seconds() -> None:
    assert summary().cells_per_second == 2_000
    assert summary().hours_per_million_obs == pytest.approx(1e6 / 2_000 / 3600)
    assert summary().mean_file_bytes == 250_000


def test_skipped_and_failed_chunks_do_not_change_the_rates() -> None:
    other = summary(n_skipped=100, n_failed=3)

    assert other.cells_per_second == summary().cells_per_second
    assert other.mean_file_bytes == summary().mean_file_bytes


def test_a_run_that_made_nothing_has_no_rates() -> None:
    nothing = summary(n_obs=0, n_files=0, total_bytes=0, n_skipped=9, ingest_seconds=0.0)

    assert (nothing.cells_per_second, nothing.hours_per_million_obs, nothing.mean_file_bytes) == (0.0, 0.0, 0.0)
