"""Over S3 a Census is opened once, nothing is asked for twice, and workers look at X alone."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cxg_assets.ingest.census.census import CensusLocator, keep_open
from cxg_assets.ingest.census.release import read_release
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.chunks.worker import IngestJob, Worker
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.plan.preflight import check_subset
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.ingest.selection.index import as_indexed, make_index
from cxg_assets.ingest.selection.subset import make_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets_tests.conftest import BLOOD_NORMAL
from cxg_assets_tests.servers.counted_s3 import CountedCensus, serve_census, tells_the_build

N_FRAGMENTS = 2
"""Of X of the demo census."""


@pytest.fixture(scope="module")
def in_s3(census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CountedCensus]:
    with serve_census(Path(census_uri), tmp_path_factory.mktemp("s3")) as served:
        yield served


def plan_in_s3(in_s3: CountedCensus, spec: SubsetSpec, locator: StoreLocator) -> tuple[CensusLocator, ChunkPlan]:
    """Release, preflight, index, subset and plan, as the command makes them."""
    store = locator.open()
    release = as_indexed(read_release("demo", in_s3.uri, None, in_s3.tiledb_config), spec.organism, store)
    census = release.locator(in_s3.tiledb_config)
    check_subset(spec, census)
    index = make_index(census, release, spec.organism, store)
    return census, store_plan(spec, make_subset(spec, index, store, census, store), store)


def test_an_ingest_asks_for_nothing_twice(
    in_s3: CountedCensus, spec: Callable[..., SubsetSpec], store_url: str
) -> None:
    locator = StoreLocator(url=store_url)
    wanted = spec(value_filter=BLOOD_NORMAL)

    in_s3.forget()
    with keep_open():
        census, plan = plan_in_s3(in_s3, wanted, locator)
        n_planning = in_s3.requests().total()
        with closing(Worker(IngestJob(census=census, store=locator, header=plan.header))) as worker:
            worker.open()
            n_opening = in_s3.requests().total() - n_planning
            reports = [result for result in worker.run(Span(plan.chunks)) if isinstance(result, ChunkReport)]
        publish(locator.open(), plan, reports, census)

    assert [request for request, n in in_s3.requests().items() if n > 1 and not tells_the_build(request)] == []
    assert n_planning <= 210
    # Five folders are listed, schema and metadata read; of each fragment its size and its footer, in two steps.
    assert n_opening == 7 + 3 * N_FRAGMENTS
    assert in_s3.requests().total() <= n_planning + n_opening + 80


def test_with_an_index_the_census_is_opened_at_the_time_of_the_index_alone(
    in_s3: CountedCensus, spec: Callable[..., SubsetSpec], store_url: str
) -> None:
    locator = StoreLocator(url=store_url)
    _, before = plan_in_s3(in_s3, spec(), locator)

    in_s3.forget()
    with keep_open():
        census, plan = plan_in_s3(in_s3, spec(value_filter=BLOOD_NORMAL), locator)

    assert census.timestamp_ms == before.header.subset.release.timestamp_ms == plan.header.subset.release.timestamp_ms
    assert in_s3.requests().total() <= 130
    # Which release it is was read from the Census as it is now: its root alone is opened twice.
    assert [request for request, n in in_s3.requests().items() if n > 1 and "census_" in request] == []


def test_workers_need_nothing_but_x(in_s3: CountedCensus, spec: Callable[..., SubsetSpec], store_url: str) -> None:
    locator = StoreLocator(url=store_url)
    census, plan = plan_in_s3(in_s3, spec(max_obs=300, chunk_size=100), locator)

    in_s3.forget()
    with closing(Worker(IngestJob(census=census, store=locator, header=plan.header))) as worker:
        results = list(worker.run(Span(plan.chunks)))

    assert all(isinstance(result, ChunkReport) for result in results)
    requests = in_s3.requests()
    assert requests.total() > 0
    assert [request for request in requests if " census_data/homo_sapiens/ms/RNA/X/raw/" not in request] == []
    # What the reports tell: each GET of values, and the small reads by which a fragment is met for the first time.
    n_told = sum(result.read_requests for result in results if isinstance(result, ChunkReport))
    n_values = sum(n for request, n in requests.items() if re.search(r"/(a0|d0|d1)\.tdb", request))
    assert n_values < n_told <= n_values + 12 * N_FRAGMENTS + 0.1
