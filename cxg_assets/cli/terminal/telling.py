"""What a command says on stderr while it works: what it does now, and how far it has come.

On a terminal that is a line which changes in place, with the time gone by, and for what is counted a bar with rate and
time left. Elsewhere, as in logs and pipes, it is whole lines, the first when a step takes longer than `PATIENCE`.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

import click

from cxg_assets.cli.terminal.colour import is_terminal
from cxg_assets.cli.terminal.teller import Count, Teller, progress_text

PATIENCE = 1.5
"""Seconds that a step may take before a line says what it is."""

FIRST_PACE, LAST_PACE, LINES_OF_A_PACE = 10.0, 300.0, 20
"""Seconds between two lines about one count: at its beginning, and at most; between, a part of the time gone by."""


@contextlib.contextmanager
def telling(name: str, step: str = "") -> Iterator[Teller]:
    """While it lasts, says what is done.

    Args:
        name: What each line begins with.
        step: What is done first.
    """
    if is_terminal(sys.stderr):
        # Here: only a terminal needs rich.
        from cxg_assets.cli.terminal.live import live

        teller_of = live
    else:
        teller_of = _lines
    with teller_of(name) as teller:
        if step:
            teller.step(step)
        yield teller


@contextlib.contextmanager
def _lines(name: str) -> Iterator[Teller]:
    teller = Lines(name)
    try:
        yield teller
    finally:
        teller.end()


class Lines:
    """A teller for logs and pipes."""

    def __init__(self, name: str) -> None:
        """Begins each line with a name."""
        self._name = name
        self._waiting: threading.Timer | None = None

    def step(self, text: str) -> None:
        """Says it if it takes long."""
        self.end()
        self._waiting = threading.Timer(PATIENCE, self._say, (text,))
        self._waiting.daemon = True
        self._waiting.start()

    def line(self, text: str) -> None:
        """Says it."""
        self.end()
        self._say(text)

    @contextlib.contextmanager
    def count(self, text: str, total: int | None, unit: str, *, paced: bool = True) -> Iterator[Count]:
        """Says at times how far it has come."""
        self.end()
        yield _CountInLines(f"{text}: " if text else "", total, unit, self._say if paced else lambda text: None)

    def end(self) -> None:
        """Says no more of what was begun."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _say(self, text: str) -> None:
        click.echo(f"{self._name}: {text}", err=True)


class _CountInLines:
    def __init__(self, what: str, total: int | None, unit: str, say: Callable[[str], None]) -> None:
        self._what, self._total, self._unit, self._say = what, total, unit, say
        self._n_done = 0
        self._began = time.monotonic()
        self._next = self._began + PATIENCE

    def advance(self, n: int) -> None:
        self._n_done += n
        now = time.monotonic()
        if now < self._next:
            return
        seconds = now - self._began
        self._next = now + min(max(FIRST_PACE, seconds / LINES_OF_A_PACE), LAST_PACE)
        self._say(f"{self._what}{progress_text(self._n_done, self._total, self._unit, self._n_done / seconds)}")

    def to(self, n_done: int, n_total: int) -> None:
        self._total = n_total
        self.advance(n_done - self._n_done)
