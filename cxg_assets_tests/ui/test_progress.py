"""The log of a run says how far it has come, early and then ever less often, and at the end what it did."""

import itertools
from dataclasses import replace

import pytest

from cxg_assets.ingest.chunks.report import RunSummary
from cxg_assets.ui import progress
from cxg_assets.ui.progress import Progress, closing_line
from cxg_assets_tests.ingested import Ingested

SUMMARY = RunSummary(
    n_obs=30_000,
    n_files=3,
    n_skipped=1,
    n_failed=0,
    total_bytes=96_000_000,
    ingest_seconds=75.0,
    workers=2,
    retries=0,
)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def test_the_first_chunk_makes_the_first_line_and_the_next_comes_after_ten_seconds(
    clock: Clock, blood: Ingested
) -> None:
    report = replace(blood.reports[0], n_obs=1_000)
    running = Progress(n_chunks=10, n_obs=10_000)
    assert running.line(0) is None
    clock.seconds += 4
    running.stored(report)

    assert running.line(0) == "1 of 10 chunks, 250 cells/s, 36 s left"
    clock.seconds += 9
    running.stored(report)
    assert running.line(0) is None
    clock.seconds += 2
    assert running.line(0) == "2 of 10 chunks, 133 cells/s, 1 min 0 s left"


def test_a_line_tells_of_what_failed_and_what_was_tried_again(clock: Clock, blood: Ingested) -> None:
    running = Progress(n_chunks=10, n_obs=10_000)
    clock.seconds += 4
    running.stored(replace(blood.reports[0], n_obs=1_000))
    running.failed()

    assert running.line(5) == "1 of 10 chunks, 250 cells/s, 36 s left; 1 failed; 5 tried again"


def test_the_pace_grows_with_the_run_and_a_day_has_a_few_hundred_lines(clock: Clock, blood: Ingested) -> None:
    running = Progress(n_chunks=86_401, n_obs=86_401_000)
    report = replace(blood.reports[0], n_obs=1_000)
    said: list[float] = []
    for second in range(1, 86_401):
        clock.seconds = 1_000.0 + second
        running.stored(report)
        if running.line(0):
            said.append(second)

    gaps = [after - before for before, after in itertools.pairwise(said)]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (10, 300)
    assert 300 < len(said) < 400


def test_after_the_last_chunk_the_closing_line_speaks_alone(clock: Clock, blood: Ingested) -> None:
    running = Progress(n_chunks=2, n_obs=2_000)
    clock.seconds += 30
    running.stored(blood.reports[0])
    running.failed()

    assert running.line(0) is None


def test_the_closing_line_has_the_figures_of_the_summary() -> None:
    assert closing_line(SUMMARY) == (
        "3 chunks, 30,000 cells, 96.0 MB in 1 min 15 s: 400 cells/s, 0.694 hours per 1M observations"
    )
    assert closing_line(replace(SUMMARY, n_failed=2, retries=6)).endswith("; 2 failed; 6 tried again")


def test_a_run_in_which_all_failed_says_so() -> None:
    nothing = replace(SUMMARY, n_obs=0, n_files=0, n_failed=4, total_bytes=0)
    assert closing_line(nothing) == "no chunk was written in this run; 4 failed"
