"""Durations and sizes are written in the units that people would take."""

import pytest

from cxg_assets.ingest.quantities import counted, duration, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (8.34, "8.3 s"),
        (45.4, "45 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3_599.7, "1 h 0 min"),
        (4_321, "1 h 12 min"),
        (86_385, "1 d 0 h"),
        (183_600, "2 d 3 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(0, "0 bytes"), (812, "812 bytes"), (4_700_000, "4.7 MB"), (1.25e15, "1,250.0 TB")]
)
def test_a_size_has_the_unit_that_fits(n_bytes: float, text: str) -> None:
    assert size(n_bytes) == text


@pytest.mark.parametrize(("n", "text"), [(0, "0 problems"), (1, "1 problem"), (1_200, "1,200 problems")])
def test_one_thing_has_no_plural(n: int, text: str) -> None:
    assert counted(n, "problem") == text


def test_a_plural_may_be_irregular() -> None:
    assert (counted(1, "retry", "retries"), counted(2, "retry", "retries")) == ("1 retry", "2 retries")
