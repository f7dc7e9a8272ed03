"""Runs whose process was killed: Dagster would show them as running for ever.

Only the code server that launched a run notices that it has died. Nobody does when that server died too, or when the
command had run it in its own process.
"""

import os
import socket
from pathlib import Path

import dagster as dg
from dagster import DagsterInstance

PROCESS_TAG = "cxg_assets/process"

_RUNNING = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def process_tag() -> dict[str, str]:
    """The run tag that tells which process works on a run: host, id, and when it began."""
    pid = os.getpid()
    return {PROCESS_TAG: f"{socket.gethostname()} {pid} {_began(pid)}"}


def report_killed_runs(instance: DagsterInstance) -> list[str]:
    """Marks runs as failed whose process was on this machine and is gone. Returns their ids.

    Args:
        instance: Where the runs are.
    """
    killed: list[str] = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_RUNNING)):
        host, _, process = run.tags.get(PROCESS_TAG, "").partition(" ")
        pid, _, began = process.partition(" ")
        if host == socket.gethostname() and began != _began(int(pid)):
            instance.report_run_failed(run, "The process of this run was killed. What had landed stays; run again")
            killed.append(run.run_id)
    return killed


def _began(pid: int) -> str:
    """When a process began, as its kernel tells; empty when there is none. Ids are given out again, times are not."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            return stat.read_text().rpartition(")")[2].split()[19]
        except OSError:
            return ""
    try:
        os.kill(pid, 0)  # macOS has no /proc: only whether it lives
    except OSError:
        return ""
    return "running"
