"""A source or a destination that stays away: the cause is told, and soon."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import pytest

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import read_release
from cxg_assets.ingest.chunks.report import ChunkFailure, ChunkReport
from cxg_assets.ingest.chunks.worker import IngestJob, Worker
from cxg_assets.ingest.errors import BadInput, Unreachable
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.ingest.storage import probe
from cxg_assets.ingest.storage.retry import Patience
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets.ingest.x import reader
from cxg_assets.resources.executor import LocalPoolExecutor
from cxg_assets.resources.pool import MAX_SILENCES
from cxg_assets_tests.faults.network import Network, Planned
from cxg_assets_tests.servers.faults import Faults, FaultyProxy

N_WORKERS = 2

SHORT = Patience(first_seconds=0.01, limit_seconds=0.1)

ONCE = {"vfs.s3.connect_max_tries": "1", "vfs.s3.connect_scale_factor": "1"}
"""TileDB repeats nothing."""

AWAY = "the S3 server cannot be reached"


@dataclass(frozen=True, kw_only=True)
class ShortOfPatience(StoreLocator):
    """A destination that is given up soon, wherever it is opened."""

    def open(self, patience: Patience = SHORT) -> Store:
        return super().open(patience)


@dataclass(frozen=True, kw_only=True)
class ShortOfPatienceToo(CensusLocator):
    """A Census whose blocks are given up soon, in the process that opens it."""

    def open_x(self, uri: str, *, n_threads: int, buffer_bytes: int) -> Any:
        reader.PATIENCE = SHORT
        return super().open_x(uri, n_threads=n_threads, buffer_bytes=buffer_bytes)


@pytest.fixture
def impatient(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> IngestJob:
    """What a worker needs that gives up soon."""
    monkeypatch.setattr(reader, "PATIENCE", reader.PATIENCE)  # brought back afterwards
    census, store = planned.job.census, planned.job.store
    config = (*census.tiledb_config, *ONCE.items())
    return replace(
        planned.job,
        census=ShortOfPatienceToo(uri=census.uri, tiledb_config=config, timestamp_ms=census.timestamp_ms),
        store=ShortOfPatience(url=store.url, s3=store.s3),
    )


@pytest.fixture(params=["source", "destination"])
def dying(request: pytest.FixtureRequest, network: Network) -> FaultyProxy:
    return getattr(network, request.param)


@pytest.fixture
def results_of(impatient: IngestJob, planned: Planned) -> Iterator[Callable[[], list[Any]]]:
    """Makes the chunks, a span each, with workers that have opened everything."""
    executor = LocalPoolExecutor(workers=N_WORKERS)
    chunks = planned.plan.chunks
    with executor.launch(impatient, len(chunks), dg.build_op_context()) as pool:
        yield lambda: list(pool.run([Span((chunk,)) for chunk in chunks]))


def test_a_pool_fails_every_chunk_with_the_cause_without_trying_them_all_and_makes_them_when_all_is_well_again(
    dying: FaultyProxy, planned: Planned, results_of: Callable[[], list[Any]], undisturbed: dict[str, bytes]
) -> None:
    dying.begin_outage()
    results = results_of()

    assert sorted(result.chunk for result in results) == [chunk.key for chunk in planned.plan.chunks]
    assert all(isinstance(result, ChunkFailure) and AWAY in result.error for result in results)
    n_tried = sum(not result.error.startswith("not tried any more: ") for result in results)
    assert n_tried < MAX_SILENCES * N_WORKERS < len(results)
    assert planned.chunks() == {}

    dying.end_outage()
    reports = results_of()

    assert all(isinstance(result, ChunkReport) for result in reports)
    planned.assert_complete(reports, undisturbed)


def test_a_worker_says_that_it_is_not_the_chunk(dying: FaultyProxy, planned: Planned, impatient: IngestJob) -> None:
    with closing(Worker(impatient)) as worker:
        worker.open()
        dying.begin_outage()
        with pytest.raises(Unreachable, match=AWAY):
            list(worker.run(Span(planned.plan.chunks)))


def test_a_worker_that_begins_without_its_stores_says_so(dying: FaultyProxy, impatient: IngestJob) -> None:
    dying.begin_outage()
    with closing(Worker(impatient)) as worker, pytest.raises(Unreachable, match=AWAY):
        worker.open()


def test_a_source_that_is_dead_from_the_start_is_known_before_any_work(network: Network) -> None:
    network.source.begin_outage()
    with pytest.raises(Unreachable, match=AWAY):
        read_release("demo", network.release.uri, None, {**network.tiledb_config, **ONCE})


def test_a_destination_that_is_dead_from_the_start_is_known_before_any_work(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "SHORT", SHORT)
    network.destination.begin_outage()
    with pytest.raises(BadInput, match=AWAY):
        probe.probe(network.locator())


def test_a_source_that_asks_to_slow_down_without_end_is_told_apart_from_one_that_is_away(
    network: Network, impatient: IngestJob
) -> None:
    # TileDB looks at sizes with HEAD, whose answer has no body that could say SlowDown: an error like any other.
    network.source.set(Faults(rates={"slow_down": 1.0}, methods=("HEAD",)))
    with closing(Worker(impatient)) as worker, pytest.raises(Unreachable, match="S3 is overloaded"):
        worker.open()
