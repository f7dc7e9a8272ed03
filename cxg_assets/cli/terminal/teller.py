"""What can be said of a command that works, wherever it is said."""

import contextlib
from typing import Protocol

from cxg_assets.ingest.quantities import duration


class Count(Protocol):
    """Something that is counted to its end."""

    def advance(self, n: int) -> None:
        """Counts so many more."""

    def to(self, n_done: int, n_total: int) -> None:
        """Counts up to a number, of a total that may not have been known before."""


class Teller(Protocol):
    """Says what a command does."""

    def step(self, text: str) -> None:
        """Says what is done from now on."""

    def line(self, text: str) -> None:
        """Says how far a step has come, in the words of who does it; of what is counted a terminal shows it already."""

    def count(
        self, text: str, total: int | None, unit: str, *, paced: bool = True
    ) -> contextlib.AbstractContextManager[Count]:
        """Says how far something has come.

        Args:
            text: What it is; empty for the name alone.
            total: How many there are; None until `Count.to` says it.
            unit: What they are, in the plural.
            paced: Lines are written at times; not where `line` is told them.
        """
        ...


def progress_text(n_done: int, total: int | None, unit: str, speed: float | None) -> str:
    """How far something has come, in words: 20 of 100 cells, 10 cells/s, 8.0 s left."""
    text = f"{n_done:,} {unit}" if total is None else f"{n_done:,} of {total:,} {unit}"
    if not speed:
        return text
    left = f", {duration((total - n_done) / speed)} left" if total is not None and n_done < total else ""
    return f"{text}, {speed:,.0f} {unit}/s{left}"
