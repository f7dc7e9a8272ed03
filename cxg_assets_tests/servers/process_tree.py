"""Peak memory and CPU time of a program and everything it starts, sampled from /proc.

The kernel keeps the peak itself (`VmHWM`), so slow sampling misses only what a process adds in the last moments of its
life. A process that was once seen in the tree stays in it when its parent ends.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_SECONDS = 0.2
"""A look at /proc takes about 2 ms here; at this pace that is a hundredth of a core."""

_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 2**20


@dataclass
class _Seen:
    """One process, as it was when it was last looked at."""

    started: str
    title: str = ""
    is_worker: bool = False
    is_ray_service: bool = False
    peak_bytes: int = 0
    peak_anonymous_bytes: int = 0
    cpu_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TreeUsage:
    """What a program used.

    Attributes:
        driver_peak_bytes: Peak resident memory of the program itself.
        driver_peak_anonymous_bytes: The most of it that was no file's, as sampled: without what it maps, which the
            kernel can drop.
        worker_peak_bytes: The same of its largest worker (a Ray actor or a process it forked); 0 without workers.
        n_workers: Processes that worked.
        ray_peak_bytes: Sum of the peaks of Ray's own processes.
        cpu_seconds: User and system time of all of them.
        others_cores: Cores that were busy with anything else meanwhile, on average: the noise of a shared machine.
    """

    driver_peak_bytes: int
    driver_peak_anonymous_bytes: int
    worker_peak_bytes: int
    n_workers: int
    ray_peak_bytes: int
    cpu_seconds: float
    others_cores: float


@dataclass
class TreeSampler:
    """Samples a process tree in a thread, from `start` to `stop`, or until all of it has ended.

    Attributes:
        root: Process id of the program.
        sizes: Look at memory too, and at what a process is; otherwise at what is there.
    """

    root: int
    sizes: bool = True
    _seen: dict[int, _Seen] = field(default_factory=dict)
    _others: set[int] = field(default_factory=set)
    _done: threading.Event = field(default_factory=threading.Event)

    def start(self) -> "TreeSampler":
        """Begins to sample."""
        self._began = time.monotonic()
        self._busy_before = _busy_seconds()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> TreeUsage:
        """Ends sampling and sums up."""
        self._done.set()
        self._thread.join()
        elapsed = max(time.monotonic() - self._began, 1e-3)
        cpu = sum(process.cpu_seconds for process in self._seen.values())
        workers = [process for pid, process in self._seen.items() if process.is_worker and pid != self.root]
        root = self._seen.get(self.root)
        return TreeUsage(
            driver_peak_bytes=root.peak_bytes if root else 0,
            driver_peak_anonymous_bytes=root.peak_anonymous_bytes if root else 0,
            worker_peak_bytes=max((process.peak_bytes for process in workers), default=0),
            n_workers=len(workers),
            ray_peak_bytes=sum(process.peak_bytes for process in self._seen.values() if process.is_ray_service),
            cpu_seconds=cpu,
            others_cores=max(_busy_seconds() - self._busy_before - cpu, 0.0) / elapsed,
        )

    def living(self) -> list[int]:
        """Processes of the tree that still run, so that they can be ended."""
        return [pid for pid, process in self._seen.items() if _stat(pid)[1] == process.started]

    def _run(self) -> None:
        while True:
            ended = self._done.wait(SAMPLE_SECONDS)
            lives = self._look()
            if ended or (self._seen and not lives):
                return

    def _look(self) -> bool:
        """Whether any of the tree lives."""
        pids = set(_pids())
        # What was seen outside of the tree never comes into it: a process without a parent is given to init.
        self._others &= pids
        stats = {pid: _stat(pid) for pid in pids - self._others}
        in_tree = {
            self.root,
            *(pid for pid, process in self._seen.items() if stats.get(pid, ("", ""))[1] == process.started),
        }
        grew = True
        while grew:
            parents = {str(pid) for pid in in_tree}
            born = {pid for pid, (parent, _, _) in stats.items() if parent in parents} - in_tree
            in_tree |= born
            grew = bool(born)
        self._others |= {pid for pid, (parent, _, _) in stats.items() if parent} - in_tree - self._seen.keys()
        living = {pid: stats[pid] for pid in in_tree if pid in stats and stats[pid][1]}
        for pid, (_, started, cpu_seconds) in living.items():
            process = self._seen.setdefault(pid, _Seen(started))
            process.cpu_seconds = max(process.cpu_seconds, cpu_seconds)
            if not self.sizes:
                continue
            peak, anonymous = _memory(pid)
            process.peak_bytes = max(process.peak_bytes, peak)
            process.peak_anonymous_bytes = max(process.peak_anonymous_bytes, anonymous)
            _classify(process, _title(pid))
        return bool(living)


def end_processes(living: Callable[[], list[int]]) -> None:
    """Ends processes that were started here: asks first, then kills what is still there after two seconds.

    Args:
        living: Which of them run now.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in living():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        deadline = time.monotonic() + 2
        while living() and time.monotonic() < deadline:
            time.sleep(0.05)


def _classify(process: _Seen, title: str) -> None:
    """Ray renames its workers: `ray::IDLE` before it has an actor, `ray::Class.method` from then on."""
    process.title = title
    is_actor = title.startswith("ray::") and not title.startswith("ray::IDLE")
    is_spawned = "multiprocessing.spawn" in title and "resource_tracker" not in title
    process.is_worker = process.is_worker or is_actor or is_spawned
    process.is_ray_service = not process.is_worker and any(
        part in title for part in ("gcs_server", "raylet", "ray/_private", "ray::IDLE", "ray/dashboard")
    )


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat(pid: int) -> tuple[str, str, float]:
    """Parent, start time and CPU seconds; empty for a process that is gone or a zombie."""
    with contextlib.suppress(OSError, IndexError):
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        if fields[0] != "Z":
            return fields[1], fields[19], (int(fields[11]) + int(fields[12])) / _TICKS
    return "", "", 0.0


def _title(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def _memory(pid: int) -> tuple[int, int]:
    """The kernel's own peak of resident memory, and what is resident now and no file's."""
    with contextlib.suppress(OSError, ValueError):
        lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        sizes = {name: int(value.split()[0]) * 1024 for name, _, value in lines if name in ("VmHWM", "RssAnon")}
        return sizes.get("VmHWM", 0), sizes.get("RssAnon", 0)
    return 0, 0


def _busy_seconds() -> float:
    """CPU seconds of the whole machine that were not idle, since boot."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS
