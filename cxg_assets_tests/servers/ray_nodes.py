"""Nodes of a Ray cluster as people start them, `ray start --block`, each ended with its own processes only."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cxg_assets_tests.servers.processes import with_children

RAY = Path(sys.executable).with_name("ray")
START_SECONDS = 180.0
TOKEN = "a-token-of-tests-" + "0" * 32
TOKENS = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
"""Environment of all that belong to a cluster of tests."""
ONE_MACHINE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""With it Ray takes 127.0.0.1 for its address, and not for the machine's outward one."""


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def ray_node(
    arguments: Sequence[str], log: Path, *, before: Sequence[str] = (), environment: Mapping[str, str] = {}
) -> Iterator[subprocess.Popen[bytes]]:
    """A node, from when `ray start` says that it runs until the end of the block.

    Args:
        arguments: Of `ray start`.
        log: Where it says what it does.
        before: The command that runs it elsewhere, as another user.
        environment: More variables.
    """
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "CXG_"))}
    command = [*before, str(RAY), "start", "--block", "--disable-usage-stats", *arguments]
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, env={**mine, **TOKENS, **environment}, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip
    try:
        _wait_until_it_runs(process, log)
        yield process
    finally:
        end_node(process)


def end_node(process: subprocess.Popen[bytes]) -> None:
    """Ends a node and all its processes at once, as a machine does that is taken away."""
    for pid in with_children(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _wait_until_it_runs(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while "Ray runtime started" not in log.read_text(errors="replace"):
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.1)
