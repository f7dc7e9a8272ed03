"""Runs a command with all that it starts, until it ends or somebody asks for its end. Then nothing of it is left."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from cxg_assets.cli.ui.processes import descendants_of

GRACE_SECONDS = 2.0
"""How long processes have to end by themselves: with what comes after it, all has ended within five seconds. Dagster's
webserver takes six, of which it waits five for nothing."""

_CLEANING_SECONDS = 0.7
"""How long the command itself has to clean up when all that it started was killed."""

_KILLED_SECONDS = 1.0
_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_CHILD_SUBREAPER = 36


def run_until_asked(command: Sequence[str], environment: Mapping[str, str]) -> int | None:
    """Runs a command in a session of its own, until it ends or this process gets SIGINT, SIGTERM or SIGHUP.

    Then whatever runs gets SIGINT, as from a terminal, and what still runs after `GRACE_SECONDS` is killed; sooner when
    it is asked for again. On Linux that holds for all descendants, elsewhere for the command's process group.

    Args:
        command: Program and arguments.
        environment: Its variables.

    Returns:
        The command's exit code; None if it was asked to end.
    """
    _adopt_orphans()
    receiving, sending = socket.socketpair()
    sending.setblocking(False)
    with receiving, sending:
        signal.set_wakeup_fd(sending.fileno())
        for number in (*_ASKING, signal.SIGCHLD):
            # A shell hands down an ignored SIGINT to what it runs in the background: SIGINT ends us all the same.
            # An ignored SIGHUP is somebody's wish: nohup.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda number, frame: None)
        child = subprocess.Popen(command, env=environment, start_new_session=True)
        asked = False
        while not asked and not _has_ended(child):
            asked = _is_asking(receiving.recv(64))
        _end(child, receiving)
        signal.set_wakeup_fd(-1)
    return None if asked else child.returncode


def _end(child: subprocess.Popen[bytes], receiving: socket.socket) -> None:
    _signal_all(child, signal.SIGINT)
    if not _wait(child, receiving, GRACE_SECONDS):
        _signal_all(child, signal.SIGKILL, but_itself=True)
        _wait(child, receiving, _CLEANING_SECONDS)
    deadline = time.monotonic() + _KILLED_SECONDS
    while _is_left(child) and time.monotonic() < deadline:
        _signal_all(child, signal.SIGKILL)
        time.sleep(0.02)


def _wait(child: subprocess.Popen[bytes], receiving: socket.socket, seconds: float) -> bool:
    """Waits until nothing is left, the time is over, or the end is asked for again. Returns whether nothing is left."""
    deadline = time.monotonic() + seconds
    receiving.settimeout(0.05)
    while _is_left(child):
        try:
            if time.monotonic() > deadline or _is_asking(receiving.recv(64)):
                return False
        except TimeoutError:
            continue
    return True


def _is_asking(numbers: bytes) -> bool:
    """Whether one of the signals that came asks for the end."""
    return bool(set(numbers) & set(_ASKING))


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Reaps all children that have ended, ours and adopted ones. Returns whether the command is among them."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            break
        if pid == child.pid:
            child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode is not None


def _is_left(child: subprocess.Popen[bytes]) -> bool:
    """Whether anything that the command started still runs."""
    ended = _has_ended(child)
    if sys.platform == "linux":
        return bool(descendants_of(os.getpid()))
    try:
        os.killpg(child.pid, 0)
    except ProcessLookupError:
        return not ended
    return True


def _signal_all(child: subprocess.Popen[bytes], number: signal.Signals, *, but_itself: bool = False) -> None:
    """Sends a signal to all that the command started, and to the command."""
    if sys.platform != "linux":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        return
    for pid in descendants_of(os.getpid()):
        if pid != child.pid or not but_itself:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _adopt_orphans() -> None:
    """Makes this process the parent of those descendants whose own parent ends, so that none can leave the family."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
