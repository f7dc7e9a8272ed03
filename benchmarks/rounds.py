"""Contenders in turn, round after round, so that a slow minute of the machine does not fall on one of them alone."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import Contender, Selection
from benchmarks.measure import Measurement
from benchmarks.stores import Route, Stores

Value = Callable[[Measurement], float]


@dataclass(frozen=True, kw_only=True)
class Series:
    """The rounds of one contender.

    Attributes:
        row: The row it belongs to.
        contender: Its name.
        route: Source and destination.
        measurements: One a round.
    """

    row: str
    contender: str
    route: str
    measurements: tuple[Measurement, ...]

    def median(self, value: Value) -> float:
        """Median of a value over the rounds."""
        return statistics.median(value(measurement) for measurement in self.measurements)

    def spread(self, value: Value) -> tuple[float, float]:
        """Least and greatest of a value over the rounds."""
        values = [value(measurement) for measurement in self.measurements]
        return min(values), max(values)

    @property
    def cells_per_second(self) -> float:
        """Median speed."""
        return self.median(lambda measurement: measurement.cells_per_second)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One contender of a round, with the cells it is given and where from and to."""

    name: str
    contender: Contender
    selection: Selection
    source: str = "local"
    destination: str = "local"


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Runs turns on one census.

    Attributes:
        work: Folder for everything that is made.
        census: The census.
        stores: Its servers.
        rounds: How often each turn is run.
        say: Told of every run.
    """

    work: Path
    census: Path
    stores: Stores
    rounds: int
    say: Callable[[str], None]

    def alternate(self, row: str, turns: list[Turn], rounds: int | None = None) -> dict[str, Series]:
        """Runs all turns in each round. Returns the series by the name of the turn."""
        measured: dict[str, list[Measurement]] = {turn.name: [] for turn in turns}
        routes: dict[str, str] = {}
        for number in range(rounds or self.rounds):
            for turn in turns:
                with self.stores.destination(turn.destination) as destination:
                    route = Route(source=self.stores.source(self.census, turn.source), destination=destination)
                    routes[turn.name] = route.name
                    measurement = turn.contender.run(self.work, turn.selection, route)
                measured[turn.name].append(measurement)
                self.say(_line(row, turn.name, number, measurement))
                # What one run wrote is not left for the next to write back.
                os.sync()
                time.sleep(0.5)
        return {
            name: Series(row=row, contender=name, route=routes[name], measurements=tuple(some))
            for name, some in measured.items()
        }


def ratio(series: Mapping[str, Series], ours: str, peer: str) -> float:
    """How many times as fast ours is, by the medians."""
    return series[ours].cells_per_second / series[peer].cells_per_second


def _line(row: str, name: str, number: int, measurement: Measurement) -> str:
    return (
        f"{row}, round {number + 1}: {name}: {measurement.cells_per_second:,.0f} cells/s "
        f"({measurement.n_obs:,} cells, {measurement.seconds:.2f} s; "
        f"others used {measurement.usage.others_cores:.2f} cores)"
    )
