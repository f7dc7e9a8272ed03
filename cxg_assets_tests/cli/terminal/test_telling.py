"""What a command says while it works: lines in a pipe, a bar and colours on a terminal."""

import contextlib
import io
import os
import pty
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxg_assets.cli.main import run
from cxg_assets.cli.terminal import telling
from cxg_assets.cli.terminal.tables import show_table
from cxg_assets.cli.warn import warn
from cxg_assets_tests.cli.command import cxg_assets
from cxg_assets_tests.cli.conftest import SUBSET, Finished


class Terminal:
    """A terminal of 100 columns, and what was written to it."""

    def __init__(self) -> None:
        self._ours, theirs = pty.openpty()
        self.file = os.fdopen(theirs, "w")
        self._written = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # what Linux says when nobody writes any more
            while data := os.read(self._ours, 4096):
                self._written += data

    def close(self) -> str:
        """All that was written."""
        self.file.close()
        self._reader.join()
        os.close(self._ours)
        return self._written.decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    made = Terminal()
    yield made
    if not made.file.closed:
        made.close()


def seen(written: str) -> str:
    """What was written, without what moves and colours it."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written)


def test_on_a_terminal_a_command_shows_what_it_does_and_a_bar_and_its_answer_goes_to_stdout(
    finished: Finished, finished_home: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["cxg-assets", "verify", SUBSET])
    answer = io.StringIO()
    with contextlib.redirect_stderr(terminal.file), contextlib.redirect_stdout(answer), pytest.raises(SystemExit):
        run()
    shown = seen(terminal.close())
    n_obs = f"{finished.summary['n_obs']:,}"
    assert f"verify {SUBSET}: loading" in shown
    assert f"✓ verify {SUBSET} " in shown
    assert shown.rstrip().endswith(f"{n_obs} of {n_obs} cells")
    assert f"{n_obs} cells are right" in answer.getvalue()
    assert "\x1b" not in answer.getvalue()


def test_in_a_pipe_the_same_command_says_its_answer_only(finished_home: Path) -> None:
    outcome = cxg_assets("verify", SUBSET)
    assert outcome.stderr == ""
    assert "\x1b" not in outcome.stdout


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_has_colours_unless_they_are_refused(
    terminal: Terminal, no_color: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    with contextlib.redirect_stderr(terminal.file):
        warn("look")
    written = terminal.close()
    assert seen(written).strip() == "cxg-assets: warning: look"
    assert ("\x1b[33m" in written) == (not no_color)


def test_what_is_warned_of_meanwhile_stays_above_the_bar(terminal: Terminal) -> None:
    with (
        contextlib.redirect_stderr(terminal.file),
        telling.telling("blood") as teller,
        teller.count("", 20, "cells") as count,
    ):
        count.advance(10)
        warn("look")
        count.advance(10)
    lines = [line.strip() for line in seen(terminal.close()).splitlines() if line.strip()]
    assert "cxg-assets: warning: look" in lines
    assert lines[-1].endswith("20 of 20 cells")


def test_a_table_has_the_same_cells_on_a_terminal_and_in_a_pipe(terminal: Terminal) -> None:
    headings, rows = ("subset", "cells"), [("blood", "12"), ("[lung]", "1,234")]
    with contextlib.redirect_stdout(terminal.file):
        show_table(headings, rows, numbers=["cells"])
    plain = io.StringIO()
    with contextlib.redirect_stdout(plain):
        show_table(headings, rows, numbers=["cells"])
    assert plain.getvalue() == "subset  cells\nblood      12\n[lung]  1,234\n\n"
    words = re.findall(r"[\w,\[\]]+", seen(terminal.close()))
    assert words == ["subset", "cells", "blood", "12", "[lung]", "1,234"]


def lines_of(patience: float, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said in a pipe by a command that makes a step, then counts cells."""
    monkeypatch.setattr(telling, "PATIENCE", patience)
    said, told = io.StringIO(), threading.Event()
    monkeypatch.setattr(telling.Lines, "_say", _and_set(telling.Lines._say, told))
    with contextlib.redirect_stderr(said), telling.telling("blood", "a long step") as teller:
        if not patience:
            assert told.wait(30)
        with teller.count("index", 30, "cells") as count:
            for _ in range(3):
                count.advance(10)
        teller.step("a short one")
        teller.line("3 of 12 chunks")
    return said.getvalue().splitlines()


def _and_set(say, told: threading.Event):
    def say_and_set(lines: telling.Lines, text: str) -> None:
        say(lines, text)
        told.set()

    return say_and_set


def test_in_a_pipe_what_takes_long_is_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    first, counted, *others = lines_of(0, monkeypatch)
    assert first == "blood: a long step"
    # The pace of the others is counted in seconds.
    assert re.fullmatch(r"blood: index: 10 of 30 cells, [\d,]+ cells/s, [\d.]+ s left", counted)
    assert others[-1] == "blood: 3 of 12 chunks"


def test_in_a_pipe_nothing_is_said_of_what_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines_of(3_600, monkeypatch) == ["blood: 3 of 12 chunks"]
