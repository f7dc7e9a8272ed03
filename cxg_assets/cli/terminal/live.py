"""A teller for a terminal: lines that change in place, by rich."""

import contextlib
from collections.abc import Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from cxg_assets.cli.terminal.teller import Count, Teller, progress_text
from cxg_assets.ingest.quantities import duration


class _HowFar(ProgressColumn):
    """What is counted, its rate and the time left."""

    def render(self, task: Task) -> Text:
        total = None if task.total is None else int(task.total)
        # When all is done, the command tells the rate of the whole.
        speed = None if task.finished else task.speed
        return Text(progress_text(int(task.completed), total, task.fields["unit"], speed), style="dim", no_wrap=True)


class _Gone(ProgressColumn):
    """The time gone by."""

    def render(self, task: Task) -> Text:
        return Text(duration(task.elapsed or 0), style="dim", no_wrap=True)


@contextlib.contextmanager
def live(name: str) -> Iterator[Teller]:
    """Says what is done; afterwards what was counted stays on the screen."""
    console = Console(stderr=True)
    text = TextColumn("{task.description}", markup=False)
    counts = Progress(SpinnerColumn(finished_text="✓"), text, BarColumn(bar_width=20), _HowFar(), console=console)
    steps = Progress(SpinnerColumn(), text, _Gone(), console=console)
    # stdout may go to a file; what is printed on stderr appears above.
    with Live(Group(counts, steps), console=console, redirect_stdout=False) as display:
        teller = _Live(name, display, counts, steps)
        yield teller
        teller.end_step()
        if not counts.tasks:
            display.transient = True


class _Live:
    def __init__(self, name: str, display: Live, counts: Progress, steps: Progress) -> None:
        self._name, self._display, self._counts, self._steps = name, display, counts, steps
        self._step: TaskID | None = None

    def step(self, text: str) -> None:
        self.end_step()
        self._step = self._steps.add_task(f"{self._name}: {text}", total=None)
        # At once: what follows may keep the interpreter to itself.
        self._display.refresh()

    def line(self, text: str) -> None:
        if self._step is not None:
            self._steps.update(self._step, description=f"{self._name}: {text}")

    @contextlib.contextmanager
    def count(self, text: str, total: int | None, unit: str, *, paced: bool = True) -> Iterator[Count]:
        self.end_step()
        description = f"{self._name}: {text}" if text else self._name
        task = self._counts.add_task(description, total=total, unit=unit)
        yield _CountLive(self._counts, task)
        self._counts.stop_task(task)

    def end_step(self) -> None:
        if self._step is not None:
            self._steps.remove_task(self._step)
            self._step = None


class _CountLive:
    def __init__(self, counts: Progress, task: TaskID) -> None:
        self._counts, self._task = counts, task

    def advance(self, n: int) -> None:
        self._counts.advance(self._task, n)

    def to(self, n_done: int, n_total: int) -> None:
        self._counts.update(self._task, completed=n_done, total=n_total)
