"""What faults do to the processes of a program."""

import os
import resource
import signal
from collections.abc import Sequence
from pathlib import Path

from cxg_assets_tests.servers.chaos.world import Program, World, wait_until


def kill_worker(program: Program, but_not: Sequence[int]) -> int:
    """Kills the oldest actor that lives and is none of those. Returns its process id, when all it held is closed."""
    worker = next_worker(program, but_not)
    os.kill(worker, signal.SIGKILL)
    wait_until("the worker has ended", lambda: _has_ended(worker))
    return worker


def _has_ended(pid: int) -> bool:
    """Whether no thread of a process is left, whose files and connections are closed with the last one."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1
    except OSError:
        return True


def kill_ray(world: World, program: Program) -> None:
    """Kills Ray itself, and waits until the workers, which stand still, have noticed and ended."""
    os.kill(program.find("raylet/raylet"), signal.SIGKILL)
    wait_until("the workers end", lambda: not program.workers())
    world.free_line()


def next_worker(program: Program, but_not: Sequence[int]) -> int:
    """The oldest actor that lives and is none of those."""

    def living() -> list[int]:
        return [pid for pid in program.workers() if pid not in but_not]

    return wait_until("there is a worker", living)[0]


def give_no_more_memory(worker: int) -> None:
    """A process has to get by with the memory that it has."""
    size = int(Path(f"/proc/{worker}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(worker, resource.RLIMIT_AS, (size, size))
