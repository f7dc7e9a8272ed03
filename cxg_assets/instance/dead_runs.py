"""Runs whose process was killed: Dagster would show them as running for ever, and count them in their pool.

Only the code server that launched a run notices that it has died. Nobody does when that server died too, or when the
command had run it in its own process.
"""

import os
import socket
from pathlib import Path

import dagster as dg
from dagster import DagsterInstance

PROCESS_TAG = ".dagster/cxg_assets_process"
"""Dagster's UI shows no tag with this prefix."""

_EARLIER_TAG = "cxg_assets/process"
"""Of runs that an earlier version began."""

_RUNNING = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def process_tag() -> dict[str, str]:
    """The run tag that tells which process works on a run: where, its id, and when it began."""
    pid = os.getpid()
    return {PROCESS_TAG: f"{where()} {pid} {_began(pid)}"}


def report_killed_runs(instance: DagsterInstance) -> list[str]:
    """Marks runs as failed whose process was on this machine and is gone. Returns their ids."""
    killed: list[str] = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_RUNNING)):
        host, _, process = (run.tags.get(PROCESS_TAG) or run.tags.get(_EARLIER_TAG, "")).partition(" ")
        pid, _, began = process.partition(" ")
        if host == where() and began != _began(int(pid)):
            instance.report_run_failed(run, "The process of this run was killed. What was stored stays; run again")
            killed.append(run.run_id)
    return killed


def where() -> str:
    """Where a process id means something: the host, and on Linux its namespace, since containers may share a name."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return socket.gethostname() + namespace.removeprefix("pid:")


def _began(pid: int) -> str:
    """When a process began, as its kernel tells; empty when there is none. Ids are given out again, times are not."""
    try:
        if Path("/proc/self").exists():
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        os.kill(pid, 0)  # macOS has no /proc: only whether it lives
    except OSError:
        return ""
    return "running"
