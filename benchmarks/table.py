"""One table of everything that was measured, for people (Markdown) and for machines (JSON)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import Measurement
from benchmarks.rounds import Series, Value

OURS = "ours"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One figure that the issue asks for.

    Attributes:
        name: What is measured.
        value: What came out.
        target: What it must be.
        aim: What would be better still; None for nothing.
        at_least: Whether more is better.
        unit: Put behind the figures.
    """

    name: str
    value: float
    target: float
    aim: float | None = None
    at_least: bool = True
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the target is reached."""
        return self.value >= self.target if self.at_least else self.value <= self.target

    def as_row(self) -> str:
        """One line of Markdown."""
        sign = ">=" if self.at_least else "<="
        aim = "" if self.aim is None else f" (aim {self.aim:g})"
        met = "yes" if self.is_met else "**no**"
        return f"| {self.name} | {self.value:.3g}{self.unit} | {sign} {self.target:g}{self.unit}{aim} | {met} |"


@dataclass(kw_only=True)
class RowResult:
    """What one row of the benchmark found.

    Attributes:
        series: Everything that was run.
        goals: The figures of the issue.
        notes: What the figures do not say by themselves.
    """

    series: list[Series] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


_HEADER = (
    "| row | contender | source, destination | cells | cells/s, median (spread) | h per 1M | MB a file "
    "| requests a cell | driver MiB | worker MiB | CPU s per 1,000 cells | others' cores | ours is |\n"
    "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def to_markdown(results: Sequence[RowResult], machine: dict[str, Any]) -> str:
    """The table, the goals and the notes."""
    about = "; ".join(f"{name}: {value}" for name, value in machine.items())
    goals = [goal.as_row() for result in results for goal in result.goals]
    lines = [_line(series, result.series) for result in results for series in result.series]
    notes = [f"- {note}" for result in results for note in result.notes]
    return "\n".join(
        [
            f"Measured by `python -m benchmarks`. {about}.\n",
            "| figure | measured | must be | met |\n| --- | ---: | ---: | --- |",
            *goals,
            "",
            _HEADER,
            *lines,
            "",
            *notes,
            "",
        ]
    )


def to_json(results: Sequence[RowResult], machine: dict[str, Any]) -> str:
    """Everything, with every single round."""
    series = [
        {
            "row": one.row,
            "contender": one.contender,
            "route": one.route,
            "cells_per_second_median": one.cells_per_second,
            "rounds": [measurement.as_json() for measurement in one.measurements],
        }
        for result in results
        for one in result.series
    ]
    goals = [{**asdict(goal), "is_met": goal.is_met} for result in results for goal in result.goals]
    notes = [note for result in results for note in result.notes]
    return json.dumps({"machine": machine, "goals": goals, "series": series, "notes": notes}, indent=1)


def write_tables(folder: Path, results: Sequence[RowResult], machine: dict[str, Any]) -> None:
    """Writes `benchmarks.md` and `benchmarks.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.md").write_text(to_markdown(results, machine))
    (folder / "benchmarks.json").write_text(to_json(results, machine))


def _line(series: Series, row: Sequence[Series]) -> str:
    low, high = series.spread(lambda measurement: measurement.cells_per_second)
    first = series.measurements[0]
    cells = [
        series.row,
        series.contender,
        series.route,
        f"{first.n_obs:,}",
        f"{series.cells_per_second:,.0f} ({low:,.0f}-{high:,.0f})",
        f"{series.median(lambda m: m.hours_per_million_obs):.3f}",
        _or_nothing(series, lambda m: m.mean_file_bytes / 1e6, ".2f"),
        _or_nothing(series, Measurement.requests_per_cell, ".4f"),
        f"{_mib(series, lambda m: m.usage.driver_peak_bytes)}",
        f"{_mib(series, lambda m: m.usage.worker_peak_bytes)}",
        f"{series.median(lambda m: 1_000 * m.usage.cpu_seconds / m.n_obs):.2f}",
        f"{series.median(lambda m: m.usage.others_cores):.2f}",
        _ours_is(series, row),
    ]
    return f"| {' | '.join(cells)} |"


def _ours_is(series: Series, row: Sequence[Series]) -> str:
    """How many times as fast the row's `ours` of the same route is."""
    ours = next((one for one in row if one.contender.startswith(OURS) and one.route == series.route), None)
    if ours is None or series.contender.startswith(OURS):
        return ""
    return f"{ours.cells_per_second / series.cells_per_second:.2f}x"


def _or_nothing(series: Series, value: Value, form: str) -> str:
    median = series.median(value)
    return format(median, form) if median else ""


def _mib(series: Series, value: Value) -> str:
    median = series.median(value)
    return f"{median / 2**20:,.0f}" if median else ""
