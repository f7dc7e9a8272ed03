"""A worker lands every chunk that can be made, and names each one that cannot."""

import hashlib
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cxg_assets.ingest.census.release import read_release
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.chunks.worker import IngestJob, Worker
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.ingest.plan.stored import stored_sizes
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import FINGERPRINT_ATTRIBUTE, Store, StoreLocator
from cxg_assets_tests.conftest import BLOOD_NORMAL, FRAGMENT_EDGE, N_OBS, Bucket, Ingest
from cxg_assets_tests.damage import damage_fragment
from cxg_assets_tests.ingested import Ingested, plan_subset, run_spans

MakeSpec = Callable[..., SubsetSpec]


def contents(ingested: Ingested) -> dict[str, bytes]:
    return {chunk.key: ingested.file(chunk).read_bytes() for chunk in ingested.plan.chunks}


def test_results_come_in_the_order_of_the_span_each_chunk_once(blood: Ingested, tmp_path: Path) -> None:
    job = replace(blood.job, store=StoreLocator(url=tmp_path.as_uri()))
    shutil.copytree(blood.file(blood.plan.chunks[0]).parent.parent / "subset", tmp_path / "blood_normal" / "subset")
    worker = Worker(job)

    stored_at: list[int] = []
    keys: list[str] = []
    for result in worker.run(Span(blood.plan.chunks)):
        assert isinstance(result, ChunkReport)
        keys.append(result.chunk)
        stored_at.append(len(stored_sizes(job.store.open(), blood.plan)))
    worker.close()

    assert len(keys) > 3
    assert keys == [chunk.key for chunk in blood.plan.chunks]
    assert all(n_stored >= n_reported for n_reported, n_stored in enumerate(stored_at, start=1))


def test_a_span_may_leave_out_chunks_and_a_worker_takes_one_span_after_the_other(
    ingest: Ingest, spec: MakeSpec, store_url: str
) -> None:
    again = ingest(spec(max_obs=200, chunk_size=50), store_url)
    chunks = again.plan.chunks
    before = contents(again)
    for chunk in chunks:
        again.file(chunk).unlink()

    reports, failures = run_spans(again.job, [Span((chunks[1], chunks[3]), attempt=2), Span(chunks[:1])])

    assert failures == []
    assert [(report.chunk, report.attempt) for report in reports] == [("00001", 2), ("00003", 2), ("00000", 1)]
    for chunk in (chunks[0], chunks[1], chunks[3]):
        assert again.file(chunk).read_bytes() == before[chunk.key]
    assert sorted(stored_sizes(again.store, again.plan)) == ["00000", "00001", "00003"]


def test_equal_chunks_are_equal_to_the_byte_however_the_work_is_cut(
    ingest: Ingest, spec: MakeSpec, store_url: str
) -> None:
    ingested = ingest(spec(value_filter=BLOOD_NORMAL, max_obs=450, chunk_size=100), store_url)
    chunks = ingested.plan.chunks
    before = contents(ingested)
    for chunk in chunks:
        ingested.file(chunk).unlink()

    run_spans(ingested.job, [Span(chunks[3:]), Span(chunks[:3])])

    assert contents(ingested) == before


def test_a_report_tells_what_lies_at_its_uri(blood: Ingested) -> None:
    for chunk, report in zip(blood.plan.chunks, blood.reports, strict=True):
        data = blood.file(chunk).read_bytes()
        assert report.uri == f"{blood.store.url}/{blood.plan.path(chunk)}"
        assert report.sha256 == hashlib.sha256(data).hexdigest()
        assert report.n_bytes == len(data)
        assert report.fingerprint == chunk.fingerprint
        assert report.read_seconds + report.encode_seconds + report.upload_seconds > 0


def test_chunks_in_s3_are_those_of_a_folder_and_carry_their_fingerprint(
    ingest: Ingest, spec: MakeSpec, blood: Ingested, s3: Bucket
) -> None:
    in_s3 = ingest(spec(value_filter=BLOOD_NORMAL), s3.locator())

    assert in_s3.failures == ()
    for chunk, report in zip(in_s3.plan.chunks, in_s3.reports, strict=True):
        key = f"store/{in_s3.plan.path(chunk)}"
        found = s3.client.get_object(Bucket=s3.name, Key=key)
        assert report.uri == f"{s3.url}/{key}"
        assert found["Body"].read() == blood.file(chunk).read_bytes()
        assert found["Metadata"] == {FINGERPRINT_ATTRIBUTE: chunk.fingerprint}


@pytest.mark.parametrize(("fragment", "lost"), [(0, range(0, FRAGMENT_EDGE)), (1, range(FRAGMENT_EDGE, N_OBS))])
def test_a_damaged_fragment_fails_just_the_chunks_that_need_it(
    spec: MakeSpec, store_url: str, index_store: Store, census_uri: str, tmp_path: Path, fragment: int, lost: range
) -> None:
    shutil.copytree(census_uri, tmp_path / "census")
    damage_fragment(tmp_path / "census", fragment)
    release = read_release("damaged", str(tmp_path / "census"), None, {})
    locator = StoreLocator(url=store_url)
    _, plan = plan_subset(spec(chunk_size=500), release, index_store, locator)

    job = IngestJob(census=release.locator({}), store=locator, header=plan.header)
    reports, failures = run_spans(job, [Span(plan.chunks)])

    needing = [chunk for chunk in plan.chunks if chunk.first_joinid in lost or chunk.last_joinid in lost]
    assert 0 < len(needing) < len(plan.chunks)
    assert [failure.chunk for failure in failures] == [chunk.key for chunk in needing]
    for chunk, failure in zip(needing, failures, strict=True):
        assert f"cannot read cells {chunk.first_joinid} to {chunk.last_joinid} of" in failure.error
        assert "X/raw" in failure.error
    assert [report.chunk for report in reports] == [chunk.key for chunk in plan.chunks if chunk not in needing]
    assert sorted(stored_sizes(locator.open(), plan)) == [report.chunk for report in reports]


def test_a_folder_in_the_place_of_a_chunk_fails_that_chunk_only(
    spec: MakeSpec, store_url: str, index_store: Store, blood: Ingested
) -> None:
    locator = StoreLocator(url=store_url)
    _, plan = plan_subset(spec(value_filter=BLOOD_NORMAL), blood.release, index_store, locator)
    (Path(store_url.removeprefix("file://")) / plan.path(plan.chunks[1]) / "in the way").mkdir(parents=True)

    reports, failures = run_spans(replace(blood.job, store=locator), [Span(plan.chunks)])

    assert [failure.chunk for failure in failures] == ["00001"]
    assert f"cannot write {store_url}/{plan.path(plan.chunks[1])}: " in failures[0].error
    assert [report.chunk for report in reports] == [chunk.key for chunk in plan.chunks if chunk.key != "00001"]


def test_a_store_that_refuses_fails_every_chunk_with_its_reason(
    spec: MakeSpec, s3: Bucket, index_store: Store, blood: Ingested
) -> None:
    locator = s3.locator()
    _, plan = plan_subset(spec(value_filter=BLOOD_NORMAL), blood.release, index_store, locator)
    worker = Worker(replace(blood.job, store=locator))
    first, *_ = worker.run(Span(plan.chunks[:1]))
    assert isinstance(first, ChunkReport)

    for item in s3.client.list_objects_v2(Bucket=s3.name)["Contents"]:
        s3.client.delete_object(Bucket=s3.name, Key=item["Key"])
    s3.client.delete_bucket(Bucket=s3.name)
    results = list(worker.run(Span(plan.chunks[1:3])))
    worker.close()

    errors = [getattr(result, "error", None) for result in results]
    assert len(errors) == 2
    for chunk, error in zip(plan.chunks[1:3], errors, strict=True):
        assert f"cannot write {s3.url}/store/{plan.path(chunk)}: " in str(error)


def test_a_thread_that_gets_no_memory_is_want_of_memory_of_the_process_and_no_failure_of_its_chunk(
    blood: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encoder(_template: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("cxg_assets.ingest.chunks.worker.ChunkEncoder", encoder)

    with pytest.raises(MemoryError, match="can't start new thread"):
        list(Worker(blood.job).run(Span(blood.plan.chunks)))


def test_a_worker_that_cannot_open_x_says_so(blood: Ingested, tmp_path: Path) -> None:
    job = replace(blood.job, header=replace(blood.plan.header, x_uri=f"{tmp_path}/nothing"))

    with pytest.raises(BadInput, match=r"the X array .*/nothing cannot be opened .*make the subset again"):
        list(Worker(job).run(Span(blood.plan.chunks)))


def test_a_run_that_is_given_up_leaves_only_whole_chunks(ingest: Ingest, spec: MakeSpec, store_url: str) -> None:
    ingested = ingest(spec(chunk_size=20, max_obs=240), store_url)
    whole = contents(ingested)
    for chunk in ingested.plan.chunks:
        ingested.file(chunk).unlink()
    worker = Worker(ingested.job)

    results = worker.run(Span(ingested.plan.chunks))
    next(results)
    results.close()  # type: ignore[attr-defined]  # a generator
    worker.close()

    stored = stored_sizes(ingested.store, ingested.plan)
    assert 1 <= len(stored) < len(whole)
    for chunk in ingested.plan.chunks:
        if chunk.key in stored:
            assert ingested.file(chunk).read_bytes() == whole[chunk.key]


def test_a_job_travels_between_processes_without_showing_secrets(s3: Bucket, blood: Ingested) -> None:
    census = replace(blood.census, tiledb_config=(("vfs.s3.aws_secret_access_key", "hush"),))
    job = replace(blood.job, store=s3.locator(), census=census)

    assert pickle.loads(pickle.dumps(job)) == job
    assert "test-secret" not in repr(job)
    assert "hush" not in repr(job)
