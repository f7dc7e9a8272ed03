"""A run's mark at the destination: one small object, there while the run is, in a folder and in S3."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.chunks.worker import Worker
from cxg_assets.ingest.dataset.inventory import take_inventory
from cxg_assets.ingest.dataset.prune import prune
from cxg_assets.ingest.errors import StoreError
from cxg_assets.ingest.layout import is_mark, mark_path, plan_folder
from cxg_assets.ingest.plan import plan_mark
from cxg_assets.ingest.plan.plan_mark import marked, split_marks
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.ingest.plan.stored import stored_sizes
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets_tests.conftest import BLOOD_NORMAL, Bucket, Ingest
from cxg_assets_tests.ingest.four_plans import MakeSpec
from cxg_assets_tests.servers.strict_s3 import DELETE, PUT, Key, Rules, StrictS3

PLAN = "0123456789abcdef"
RUN = "5f1d9bd4-0000-4000-8000-000000000000"


@pytest.fixture(params=["folder", "s3"])
def locator(request: pytest.FixtureRequest, store_url: str) -> StoreLocator:
    if request.param == "folder":
        return StoreLocator(url=store_url)
    bucket: Bucket = request.getfixturevalue("s3")
    return bucket.locator()


def test_a_mark_is_there_inside_the_block_and_gone_after_it(locator: StoreLocator) -> None:
    store, path = locator.open(), mark_path("blood", PLAN, RUN)
    with marked(locator, "blood", PLAN, RUN, "publishes"):
        assert list(store.sizes("blood")) == [path]
        assert is_mark(path)
    assert store.sizes("blood") == {}


@pytest.mark.parametrize("error", [ValueError("a chunk"), KeyboardInterrupt()])
def test_a_mark_goes_also_when_the_run_fails_or_is_interrupted(store_url: str, error: BaseException) -> None:
    locator = StoreLocator(url=store_url)
    with pytest.raises(type(error)), marked(locator, "blood", PLAN, RUN, "writes chunks"):
        raise error
    assert locator.open().sizes("blood") == {}


def refreshed(store: Store, path: str) -> Iterator[datetime]:
    """Times at which the mark was stored, as they change; ends after a minute."""
    seen, deadline = None, time.monotonic() + 60
    while time.monotonic() < deadline:
        modified = store.objects(path.rpartition("/")[0])[path].modified
        if modified != seen:
            yield modified
            seen = modified


def test_a_mark_is_put_anew_while_the_run_goes_on(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_mark, "REFRESHED_EVERY", timedelta(milliseconds=20))
    locator = StoreLocator(url=store_url)
    with marked(locator, "blood", PLAN, RUN, "writes chunks"):
        times = refreshed(locator.open(), mark_path("blood", PLAN, RUN))
        first, second, third = next(times), next(times), next(times)
    assert first < second < third
    assert locator.open().sizes("blood") == {}
    assert not [thread for thread in threading.enumerate() if PLAN in thread.name]


def test_a_mark_is_refreshed_many_times_before_it_counts_no_more() -> None:
    assert plan_mark.COUNTS_FOR >= 10 * plan_mark.REFRESHED_EVERY


def test_in_s3_a_mark_is_one_put_and_one_delete(server: StrictS3) -> None:
    with marked(server.locator(), "blood", PLAN, RUN, "writes chunks"):
        pass

    assert [asked.method for asked in server.requests()] == ["PUT", "DELETE"]


def test_a_mark_that_may_not_be_removed_ages_out_and_is_no_error(server: StrictS3) -> None:
    server.obey(Rules(keys=(Key(denied=(DELETE,)),)))
    locator = server.locator()

    with marked(locator, "blood", PLAN, RUN, "writes chunks"):
        pass

    assert split_marks(locator.open().objects("blood")) == ([mark_path("blood", PLAN, RUN)], [])


def test_where_a_mark_cannot_be_put_the_run_does_not_begin(server: StrictS3) -> None:
    server.obey(Rules(keys=(Key(denied=(PUT,)),)))
    begun = []

    refused = pytest.raises(StoreError, match=r"cannot write s3://.*/writing-")
    with refused, marked(server.locator(), "blood", PLAN, RUN, "writes chunks"):
        begun.append(True)

    assert begun == []


def test_a_worker_between_two_chunks_loses_nothing_to_a_prune(
    ingest: Ingest, spec: MakeSpec, locator: StoreLocator, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ingest(spec(value_filter=BLOOD_NORMAL, max_obs=60, chunk_size=20), locator)
    name, plan = made.spec.name, made.plan
    for chunk in plan.chunks:
        made.store.delete(plan.path(chunk))
    elsewhere = locator.open()
    with (
        marked(locator, name, plan.header.plan_id, RUN, "writes chunks"),
        closing(Worker(made.job)) as worker,
    ):
        results = worker.run(Span(plan.chunks))
        assert isinstance(next(results), ChunkReport)
        inventory = take_inventory(elsewhere, name, 0, older_than=timedelta(0), unreferenced=True)
        assert inventory.going == ()
        assert prune(elsewhere, inventory) == ()
        assert all(isinstance(result, ChunkReport) for result in results)
    assert len(stored_sizes(elsewhere, plan)) == len(plan.chunks)
    monkeypatch.setattr(plan_mark, "COUNTS_FOR", timedelta(0))
    # As of a run that was killed an hour ago.
    elsewhere.put(mark_path(name, plan.header.plan_id, RUN), b"{}")
    prune(elsewhere, take_inventory(elsewhere, name, 0, older_than=timedelta(0)))
    assert elsewhere.sizes(plan_folder(name, plan.header.plan_id)) == {}
