"""The connections of the event log that stay open: threads, processes, files that go, and who watches."""

import contextlib
import multiprocessing
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance
from sqlalchemy.exc import OperationalError

from cxg_assets.instance.event_log import MAX_KEPT
from cxg_assets_tests.cli.command import files_below
from cxg_assets_tests.events import RUN, dagsters, databases, opened, ours, partitions_of_run, record, recorded

N_EACH = 30
"""Events of each of two writers."""


def test_threads_that_write_to_one_run_lose_nothing(tmp_path: Path) -> None:
    names = [[f"{writer}-{i}" for i in range(N_EACH)] for writer in "ab"]
    failures: list[BaseException] = []
    with ours(tmp_path) as mine:
        start = threading.Barrier(2)

        def write(partitions: list[str]) -> None:
            start.wait()
            try:
                for partition in partitions:
                    record(mine, partition)
            except Exception as error:  # noqa: BLE001 what a thread raises is lost otherwise
                failures.append(error)

        threads = [threading.Thread(target=write, args=(partitions,)) for partitions in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert failures == []
        assert sorted(recorded(mine)) == sorted(names[0] + names[1])
        assert sorted(partitions_of_run(mine.event_log_storage)) == sorted(names[0] + names[1])


def write_and_be_killed(folder: str, partitions: list[str], start: Any) -> None:
    instance = DagsterInstance.from_config(folder)
    start.wait()
    for partition in partitions:
        record(instance, partition)
    os.kill(os.getpid(), signal.SIGKILL)


def test_processes_that_write_to_one_run_lose_nothing_though_one_is_killed(tmp_path: Path) -> None:
    names = [[f"{writer}-{i}" for i in range(N_EACH)] for writer in "ab"]
    with ours(tmp_path) as mine:
        spawn = multiprocessing.get_context("spawn")
        start = spawn.Barrier(2)
        process = spawn.Process(target=write_and_be_killed, args=(str(tmp_path), names[0], start))
        process.start()
        start.wait(timeout=120)
        for partition in names[1]:
            record(mine, partition)
        process.join()

        assert process.exitcode == -signal.SIGKILL
        assert sorted(recorded(mine)) == sorted(names[0] + names[1])
        assert sorted(partitions_of_run(mine.event_log_storage)) == sorted(names[0] + names[1])


_FORK = """
import os, sys
from pathlib import Path
from cxg_assets_tests.events import opened, ours, record, recorded

with ours(Path(sys.argv[1])) as instance:
    record(instance, "before")
    inherited = opened(instance)
    child = os.fork()
    if not child:
        record(instance, "child")
        assert opened(instance) is not inherited
        instance.dispose()
        os._exit(0)
    record(instance, "parent")
    assert os.waitpid(child, 0)[1] == 0
    record(instance, "after")
    assert opened(instance) is inherited
    print(sorted(recorded(instance)))
"""


def test_a_forked_child_opens_its_own_connections(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", _FORK, str(tmp_path)], capture_output=True, text=True, check=False)

    assert run.stdout == "['after', 'before', 'child', 'parent']\n", run.stderr
    assert sorted(recorded(databases(tmp_path))) == ["after", "before", "child", "parent"]


def test_a_bounded_number_of_databases_stays_open_and_none_when_disposed(tmp_path: Path) -> None:
    def n_open() -> int:
        """SQLite removes the log beside a database with its last connection."""
        return len([name for name in files_below(tmp_path / "history" / "runs") if name.endswith("-wal")])

    runs = [f"{i:08}-1111-1111-1111-111111111111" for i in range(MAX_KEPT + 3)]
    with ours(tmp_path) as mine:
        for run_id in runs:
            for partition in ("c0", "c1"):
                record(mine, partition, run_id)
        assert n_open() == MAX_KEPT
        mine.dispose()
        assert n_open() == 0
        assert [partitions_of_run(mine.event_log_storage, run_id) for run_id in runs] == [["c0", "c1"]] * len(runs)


@pytest.mark.parametrize("watching", [ours, dagsters], ids=["ours", "dagsters"])
def test_who_watches_a_run_is_told_of_each_event(tmp_path: Path, watching: Callable[..., Any]) -> None:
    told: queue.Queue[str] = queue.Queue()
    with ours(tmp_path) as writer:
        record(writer, "first")
        with watching(tmp_path) as watcher:
            watcher.watch_event_logs(RUN, None, lambda entry, _: told.put(entry.dagster_event.partition))
            deadline = time.monotonic() + 60
            while told.empty() and time.monotonic() < deadline:
                # Again and again: the watching begins in a thread of its own, some time after the call.
                record(writer, "again")
                with contextlib.suppress(queue.Empty):
                    told.put(told.get(timeout=1))
            n_recorded = len(partitions_of_run(writer.event_log_storage))
            heard = [told.get(timeout=60) for _ in range(n_recorded)]
            record(writer, "last")
            heard.append(told.get(timeout=60))
    assert sorted(heard) == ["again"] * (n_recorded - 1) + ["first", "last"]


def test_reading_does_not_wake_who_watches(tmp_path: Path) -> None:
    with ours(tmp_path) as mine:
        record(mine, "c0")
        record(mine, "c1")
        [database] = (tmp_path / "history" / "runs").glob(f"{RUN}.db")
        os.utime(database, ns=(0, 0))
        assert partitions_of_run(mine.event_log_storage) == ["c0", "c1"]
        assert database.stat().st_mtime_ns == 0
        record(mine, "c2")
        assert database.stat().st_mtime_ns > 0


def test_databases_that_another_process_made_anew_are_opened_anew(tmp_path: Path) -> None:
    with ours(tmp_path) as mine:
        record(mine, "old")
        record(mine, "old")
        shutil.rmtree(tmp_path / "history" / "runs")
        with ours(tmp_path) as other:
            record(other, "new")
        assert recorded(mine) == partitions_of_run(mine.event_log_storage) == ["new"]
        record(mine, "newer")
        assert recorded(databases(tmp_path)) == ["new", "newer"]


def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_has_another_connection(tmp_path: Path) -> None:
    def fail(storage: Any) -> None:
        with storage.run_connection(RUN) as connection:
            connection.exec_driver_sql("DELETE FROM event_logs")
            connection.exec_driver_sql("DELETE FROM no_such_table")

    with ours(tmp_path) as mine:
        record(mine, "c0")
        before = opened(mine)
        assert opened(mine) is before
        with pytest.raises(OperationalError, match="no such table"):
            fail(mine.event_log_storage)
        assert partitions_of_run(mine.event_log_storage) == ["c0"]
        assert opened(mine) is not before
        record(mine, "c1")
        assert partitions_of_run(mine.event_log_storage) == ["c0", "c1"]


def test_a_connection_waits_and_keeps_its_journal_as_dagsters_own(tmp_path: Path) -> None:
    def pragmas(storage: Any) -> dict[str, int]:
        names = ("busy_timeout", "journal_mode", "synchronous", "foreign_keys")
        with storage.run_connection(RUN) as connection:
            return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}

    with ours(tmp_path) as mine:
        record(mine, "c0")
        theirs, kept = pragmas(databases(tmp_path)), pragmas(mine.event_log_storage)
    assert kept.pop("busy_timeout") >= theirs.pop("busy_timeout")
    assert kept == theirs
