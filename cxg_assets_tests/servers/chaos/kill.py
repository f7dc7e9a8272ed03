"""What faults do to the processes of a program."""

import os
import resource
import signal
from collections.abc import Sequence
from pathlib import Path

from cxg_assets_tests.servers.chaos.world import Program, World, wait_until

SLOW_LINE_SECONDS = 10.0
"""Where something else takes many seconds meanwhile: a command to begin, a server to notice that it was left."""


def kill_ray(world: World, program: Program) -> None:
    """Kills Ray itself, and waits until the workers have noticed and ended."""
    world.slow_line(SLOW_LINE_SECONDS)  # it takes them some seconds
    os.kill(program.find("raylet/raylet"), signal.SIGKILL)
    wait_until("the workers end", lambda: not program.workers())
    world.slow_line(0)


def next_worker(program: Program, but_not: Sequence[int]) -> int:
    """The oldest actor that lives and is none of those."""

    def living() -> list[int]:
        return sorted(set(program.workers()) - set(but_not))

    return wait_until("there is a worker", living)[0]


def give_no_more_memory(worker: int) -> None:
    """A process has to get by with the memory that it has."""
    size = int(Path(f"/proc/{worker}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(worker, resource.RLIMIT_AS, (size, size))
