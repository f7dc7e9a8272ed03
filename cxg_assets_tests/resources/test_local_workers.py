"""What is special about workers that are processes of this machine."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cxg_assets.ingest.chunks.worker import IngestJob
from cxg_assets.ingest.errors import BadInput, Unreachable
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.resources import local_workers
from cxg_assets.resources.local_worker import _portable
from cxg_assets.resources.local_workers import LocalWorkers, spare_worker, start_local_worker
from cxg_assets.resources.workers import Opened
from cxg_assets_tests.conftest import BLOOD_NORMAL
from cxg_assets_tests.ingested import plan_subset
from cxg_assets_tests.servers.webserver import wait_until

pytestmark = pytest.mark.stack

DRIVER = """
import pickle, sys, time
from cxg_assets.resources.local_workers import LocalWorkers

workers = LocalWorkers(pickle.load(open(sys.argv[1], "rb")))
worker = workers.start()
while not workers.wait(1.0):
    pass
print(worker.process.pid, "dagster" in sys.modules, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def own_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those that the tests of other files keep for each other."""
    monkeypatch.setattr(local_workers, "start_local_worker", start_local_worker)


def job_of(spec: Callable[..., SubsetSpec], release, index_store, store_url: str) -> IngestJob:
    locator = StoreLocator(url=store_url)
    _, plan = plan_subset(spec(value_filter=BLOOD_NORMAL), release, index_store, locator)
    return IngestJob(census=release.locator({}), store=locator, header=plan.header)


def test_workers_end_with_a_driver_that_was_killed(
    spec: Callable[..., SubsetSpec], release, index_store, store_url: str, tmp_path: Path
) -> None:
    given = tmp_path / "job.pickle"
    given.write_bytes(pickle.dumps(job_of(spec, release, index_store, store_url)))
    with subprocess.Popen([sys.executable, "-c", DRIVER, str(given)], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        pid, has_dagster = driver.stdout.readline().split()
        assert Path(f"/proc/{pid}").exists()
        driver.kill()

    assert has_dagster == "False"
    wait_until("the worker has ended", lambda: not Path(f"/proc/{pid}").exists(), 20)


def test_a_worker_that_was_interrupted_from_the_terminal_goes_on(
    spec: Callable[..., SubsetSpec], release, index_store, store_url: str
) -> None:
    workers = LocalWorkers(job_of(spec, release, index_store, store_url))
    worker = workers.start()
    try:
        assert os.getpgid(worker.process.pid) != os.getpgid(0)
        [opened] = workers.wait(60)
        assert opened == Opened(worker)
    finally:
        workers.end(worker)
    assert worker.process.returncode == -signal.SIGKILL


def test_the_first_worker_is_the_process_that_was_started_ahead_and_the_next_is_another(
    spec: Callable[..., SubsetSpec], release, index_store, store_url: str
) -> None:
    workers = LocalWorkers(job_of(spec, release, index_store, store_url))
    with spare_worker():
        with spare_worker():
            [spare] = local_workers._spares
        first, second = workers.start(), workers.start()
        assert (first is spare, second is spare) == (True, False)
        opened = [event for _ in range(2) for event in workers.wait(60)]
        assert Opened(first) in opened
    workers.end(first)
    workers.end(second)


def test_a_process_that_was_started_ahead_and_not_needed_or_is_dead_is_ended(
    spec: Callable[..., SubsetSpec], release, index_store, store_url: str
) -> None:
    with spare_worker():
        [unused] = local_workers._spares
    assert unused.process.returncode == -signal.SIGKILL
    workers = LocalWorkers(job_of(spec, release, index_store, store_url))
    with spare_worker():
        [dead] = local_workers._spares
        dead.process.kill()
        dead.process.wait()
        worker = workers.start()
        assert worker is not dead
        assert workers.wait(60) == [Opened(worker)]
    workers.end(worker)


def test_errors_keep_their_kind_on_the_way_to_the_driver_and_others_their_text() -> None:
    class Odd(Exception):
        def __init__(self, first: str, second: str) -> None:
            super().__init__(f"{first} and {second}")

    assert isinstance(_portable(BadInput("no")), BadInput)
    assert isinstance(_portable(Unreachable("no")), Unreachable)
    assert isinstance(_portable(MemoryError()), MemoryError)
    assert str(_portable(Odd("this", "that"))) == "Odd: this and that"
