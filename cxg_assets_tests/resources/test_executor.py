"""The pool, on a real Ray and on processes of this machine."""

import os
import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import ValidationError

from cxg_assets.ingest.chunks.report import ChunkFailure, ChunkReport
from cxg_assets.ingest.chunks.worker import IngestJob
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.layout import subset_obs_path
from cxg_assets.ingest.plan.spans import Span, plan_spans
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.resources import POOLS
from cxg_assets.resources import pool as pool_module
from cxg_assets.resources.executor import PoolExecutor
from cxg_assets.resources.executors import build_executor
from cxg_assets.resources.pool import Pool
from cxg_assets_tests.conftest import BLOOD_NORMAL
from cxg_assets_tests.ingested import Ingested, plan_subset

N_CHUNKS = 20
"""Chunks of the planned subset."""

OUT_OF_MEMORY = """
import pickle, sys
import dagster as dg
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.resources.ray_executor import RayPoolExecutor
from cxg_assets.resources.ray_cluster import RunRay, start_own_ray

job, chunks = pickle.load(open(sys.argv[1], "rb"))
start_own_ray({"num_cpus": 1, "_system_config": {"memory_usage_threshold": 0.01, "memory_monitor_refresh_ms": 100}})
executor = RayPoolExecutor(ray=RunRay(), workers=1)
try:
    with executor.launch(job, len(chunks), dg.build_op_context()) as pool:
        list(pool.run([Span(chunks)]))
except CxgError as error:
    print(error)
"""

Executor = Callable[[int], PoolExecutor]


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.stack if name == "ray" else ()) for name in POOLS])
def executor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Executor:
    """A function: an executor of so many workers, all of which are waited for, however busy the machine is."""
    monkeypatch.setattr(pool_module, "LATECOMER_SECONDS", 300.0)
    request.getfixturevalue("ray_session" if request.param == "ray" else "workers")
    return lambda workers: build_executor(request.param, workers)


@pytest.fixture
def planned(spec: Callable[..., SubsetSpec], release, index_store, store_url: str) -> Ingested:
    """A subset of many small chunks of which none was made."""
    locator = StoreLocator(url=store_url)
    small = spec(value_filter=BLOOD_NORMAL, chunk_size=25, max_obs=25 * N_CHUNKS)
    subset, plan = plan_subset(small, release, index_store, locator)
    return Ingested(
        spec=small, release=release, census=release.locator({}), store=locator.open(), locator=locator,
        subset=subset, plan=plan, reports=(), failures=(),
    )  # fmt: skip


@pytest.fixture
def pool(planned: Ingested, executor: Executor) -> Iterator[Pool]:
    with executor(2).launch(planned.job, N_CHUNKS, dg.build_op_context()) as launched:
        yield launched


def test_every_chunk_is_reported_once_and_equals_what_one_process_makes(
    planned: Ingested, pool: Pool, ingest, tmp_path
) -> None:
    results = list(pool.run(plan_spans(planned.plan.chunks, pool.n_workers)))
    alone = ingest(planned.spec, (tmp_path / "alone").as_uri())

    assert sorted(result.chunk for result in results) == [chunk.key for chunk in planned.plan.chunks]
    assert {result.chunk: result.sha256 for result in results if isinstance(result, ChunkReport)} == {
        report.chunk: report.sha256 for report in alone.reports
    }
    assert len({result.worker for result in results}) == 2


def test_a_killed_worker_is_replaced_and_no_chunk_is_lost_or_made_twice(planned: Ingested, pool: Pool) -> None:
    spans = [Span(planned.plan.chunks[:10]), Span(planned.plan.chunks[10:])]
    results = pool.run(spans)
    first = next(results)
    os.kill(int(first.worker.split(":")[1]), signal.SIGKILL)
    rest = list(results)

    assert sorted(result.chunk for result in [first, *rest]) == [chunk.key for chunk in planned.plan.chunks]
    assert all(isinstance(result, ChunkReport) for result in rest)
    assert pool.n_deaths == 1


def test_a_worker_that_says_nothing_any_more_is_replaced(planned: Ingested, pool: Pool) -> None:
    results = pool.run([Span(planned.plan.chunks[:10]), Span(planned.plan.chunks[10:])])
    first = next(results)
    pool.silence = 3.0
    os.kill(int(first.worker.split(":")[1]), signal.SIGSTOP)
    rest = list(results)

    assert sorted(result.chunk for result in [first, *rest]) == [chunk.key for chunk in planned.plan.chunks]
    assert all(isinstance(result, ChunkReport) for result in rest)
    assert pool.n_deaths >= 1


def test_what_one_worker_cannot_do_another_does(planned: Ingested, pool: Pool) -> None:
    first = list(pool.run([Span(planned.plan.chunks[:1]), Span(planned.plan.chunks[1:2])]))
    crippled = int(first[0].worker.split(":")[1])
    unlimited = resource.prlimit(crippled, resource.RLIMIT_FSIZE)
    resource.prlimit(crippled, resource.RLIMIT_FSIZE, (1_000, unlimited[1]))
    rest = list(pool.run([Span((chunk,)) for chunk in planned.plan.chunks[2:]]))

    assert sorted(result.chunk for result in [*first, *rest]) == [chunk.key for chunk in planned.plan.chunks]
    assert all(isinstance(result, ChunkReport) for result in rest)
    assert crippled not in {int(result.worker.split(":")[1]) for result in rest}
    assert pool.n_retries == sum(result.attempt == 2 for result in rest) > 0
    resource.prlimit(crippled, resource.RLIMIT_FSIZE, unlimited)  # it serves another pool


def test_a_chunk_that_cannot_land_is_tried_three_times_and_named_while_the_others_land(
    planned: Ingested, pool: Pool
) -> None:
    doomed = planned.plan.chunks[7]
    planned.file(doomed).mkdir(parents=True)
    results = list(pool.run(plan_spans(planned.plan.chunks, pool.n_workers)))

    [failure] = [result for result in results if isinstance(result, ChunkFailure)]
    assert (failure.chunk, failure.attempt) == (doomed.key, 3)
    assert "Is a directory" in failure.error
    assert planned.plan.path(doomed) in failure.error
    assert len(results) == len(planned.plan.chunks)


def test_a_worker_that_cannot_open_the_subset_fails_the_chunks_with_the_cause(
    planned: Ingested, executor: Executor
) -> None:
    name = subset_obs_path(planned.spec.name, planned.subset.fingerprint)
    planned.store.delete(name)
    with executor(1).launch(planned.job, 2, dg.build_op_context()) as pool:
        results = list(pool.run([Span(planned.plan.chunks[:2])]))

    assert [result.chunk for result in results] == ["00000", "00001"]
    assert all(isinstance(result, ChunkFailure) and name in result.error for result in results)


def test_workers_that_find_another_census_than_the_run_began_with_make_nothing_and_are_not_asked_again(
    planned: Ingested, executor: Executor
) -> None:
    job = replace(planned.job, x_nnz=7)
    with executor(2).launch(job, N_CHUNKS, dg.build_op_context()) as pool:
        results = list(pool.run([Span((chunk,)) for chunk in planned.plan.chunks]))

    assert sorted(result.chunk for result in results) == [chunk.key for chunk in planned.plan.chunks]
    assert all(isinstance(result, ChunkFailure) and "the Census was replaced" in result.error for result in results)
    assert pool.n_retries == 0
    assert not any(planned.file(chunk).exists() for chunk in planned.plan.chunks)


def test_workers_that_die_before_they_make_anything_end_the_run(planned: Ingested, executor: Executor) -> None:
    deadly = _KillsWhoeverUnpicklesIt(**vars(planned.job))
    with (
        executor(1).launch(deadly, N_CHUNKS, dg.build_op_context()) as pool,
        pytest.raises(CxgError, match="workers died one after the other and made nothing"),
    ):
        list(pool.run([Span(planned.plan.chunks[:3])]))


@pytest.mark.stack
def test_workers_that_ray_ends_for_want_of_memory_end_the_run_with_that_cause(
    planned: Ingested, tmp_path: Path
) -> None:
    # A process of its own: the tests share one Ray, and this one is told that 1 % of the memory is all there is.
    given = tmp_path / "given.pickle"
    given.write_bytes(pickle.dumps((planned.job, planned.plan.chunks)))
    finished = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, str(given)], capture_output=True, text=True, check=True
    )

    assert "workers died one after the other and made nothing" in finished.stdout
    assert "low on memory" in finished.stdout


def test_more_workers_than_cpus_share_them(planned: Ingested, executor: Executor) -> None:
    with executor(3).launch(planned.job, N_CHUNKS, dg.build_op_context()) as pool:
        results = list(pool.run([Span((chunk,)) for chunk in planned.plan.chunks[:9]]))
    assert len(results) == 9
    assert len({result.worker for result in results}) == 3


def test_a_negative_number_of_workers_is_refused_before_anything_starts(executor: Executor) -> None:
    with pytest.raises(ValidationError, match=r"workers\n.*greater than or equal to 0.*input_value=-1"):
        executor(-1)


@dataclass(frozen=True, kw_only=True)
class _KillsWhoeverUnpicklesIt(IngestJob):
    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (1,)
