"""What a run over chunks says in its log while it goes on."""

import time

from cxg_assets.ingest.chunks.report import ChunkReport, RunSummary
from cxg_assets.ingest.quantities import counted, duration, size

FIRST_PACE = 10.0
"""Seconds between two lines at the beginning of a run."""

LAST_PACE = 300.0
"""Seconds between two lines of a run that has gone on for hours."""

LINES_OF_A_PACE = 20
"""A line for each twentieth of the time gone by: a run of a day writes some 300."""


class Progress:
    """Counts what is stored, and says at times how far a run has come: with its first chunk, then ever less often."""

    def __init__(self, n_chunks: int, n_obs: int) -> None:
        """Begins to count the time of so many chunks to write, with so many cells."""
        self._n_chunks, self._n_obs = n_chunks, n_obs
        self._n_stored = self._n_obs_stored = self._n_failed = 0
        self._began = time.monotonic()
        self._next = self._began

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def stored(self, report: ChunkReport) -> None:
        """Counts a chunk."""
        self._n_stored += 1
        self._n_obs_stored += report.n_obs

    def failed(self) -> None:
        """Counts a chunk that failed for good."""
        self._n_failed += 1

    def line(self, n_retries: int) -> str | None:
        """How far the run has come; None when it is not time to say so, or nothing is left to come."""
        now, n_done = time.monotonic(), self._n_stored + self._n_failed
        if now < self._next or not self._n_stored or n_done == self._n_chunks:
            return None
        seconds = now - self._began
        self._next = now + min(max(FIRST_PACE, seconds / LINES_OF_A_PACE), LAST_PACE)
        speed = self._n_obs_stored / seconds
        left = duration((self._n_obs - self._n_obs_stored) / speed)
        return (
            f"{self._n_stored:,} of {counted(self._n_chunks, 'chunk')}, {speed:,.0f} cells/s, {left} left"
            f"{_troubles(self._n_failed, n_retries)}"
        )


def closing_line(summary: RunSummary) -> str:
    """What a run did, in one line."""
    if summary.nothing_written:
        return summary.nothing_written
    if not summary.n_files:
        return f"no chunk was written in this run{_troubles(summary.n_failed, summary.retries)}"
    return (
        f"{counted(summary.n_files, 'chunk')}, {counted(summary.n_obs, 'cell')}, {size(summary.total_bytes)} in "
        f"{duration(summary.ingest_seconds)}: {summary.cells_per_second:,.0f} cells/s, "
        f"{summary.hours_per_million_obs:.3f} hours per 1M observations"
        f"{_troubles(summary.n_failed, summary.retries)}"
    )


def _troubles(n_failed: int, n_retries: int) -> str:
    failed = f"; {n_failed:,} failed" if n_failed else ""
    return f"{failed}; {n_retries:,} tried again" if n_retries else failed
