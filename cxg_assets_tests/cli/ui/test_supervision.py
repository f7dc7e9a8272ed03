"""What the command starts ends with it: on one signal, whatever has been started in turn, within five seconds."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cxg_assets_tests.servers.processes import processes_with

PROMISED_SECONDS = 5

MARK = "CXG_TEST_OF_SUPERVISION"
"""A variable that every process of a test has in its environment."""

SUPERVISOR = """
import os, sys
from cxg_assets.cli.ui.supervision import run_until_asked
print(run_until_asked([sys.executable, "-c", sys.argv[1]], os.environ), flush=True)
"""

SLEEPS = "import time; print('started', flush=True); time.sleep(600)"

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
orphan = "import time; time.sleep(600)"
parent = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True)"
subprocess.run([sys.executable, "-c", parent, orphan])
print("started", flush=True)
time.sleep(600)
"""
"""Ignores SIGINT, as does a process that it leaves behind: without a parent, in a session of its own."""


def left_of(mark: str) -> list[str]:
    """Command lines of the processes that have a mark."""
    return processes_with(f"{MARK}={mark}")


@contextmanager
def supervised(program: str, mark: str, *, sigint: signal.Handlers = signal.SIG_DFL) -> Iterator[subprocess.Popen[str]]:
    """A process that supervises a program, when that has started all."""

    def reset() -> None:
        signal.signal(signal.SIGINT, sigint)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where the tests run under nohup

    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, program],
        env=os.environ | {MARK: mark},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=reset,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("program", [SLEEPS, STUBBORN], ids=["good", "stubborn"])
def test_one_signal_ends_all(program: str, number: signal.Signals, request: pytest.FixtureRequest) -> None:
    mark = f"{request.node.name} of {os.getpid()}"
    with supervised(program, mark) as process:
        assert len(left_of(mark)) == (2 if program == SLEEPS else 3)
        process.send_signal(number)
        said, _ = process.communicate(timeout=PROMISED_SECONDS)
    assert said == "None\n"
    assert left_of(mark) == []


def test_sigint_ends_also_what_a_shell_runs_in_the_background(request: pytest.FixtureRequest) -> None:
    mark = f"{request.node.name} of {os.getpid()}"
    with supervised(SLEEPS, mark, sigint=signal.SIG_IGN) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PROMISED_SECONDS)
    assert left_of(mark) == []


def test_a_command_that_ends_by_itself_takes_what_it_started_along(request: pytest.FixtureRequest) -> None:
    mark = f"{request.node.name} of {os.getpid()}"
    program = STUBBORN.replace("time.sleep(600)\n", "sys.exit(3)\n")
    with supervised(program, mark) as process:
        said, _ = process.communicate(timeout=PROMISED_SECONDS)
    assert said == "3\n"
    assert left_of(mark) == []
