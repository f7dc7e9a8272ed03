"""Of a subset's obs a worker reads and decodes what its spans need, once, however small the chunks are."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.chunks.worker import IngestJob, Worker
from cxg_assets.ingest.dataset.load import load_table
from cxg_assets.ingest.layout import subset_obs_path, subset_var_path
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ingest.plan.making import make_plan
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.ingest.selection.subset import ROWS_PER_BATCH as ROWS_OF_SUBSET
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import ROWS_PER_BATCH, FeatherFile, feather_source, write_feather
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets_tests.ingest.storage.test_ranged import n_read
from cxg_assets_tests.ingested import plan_subset
from cxg_assets_tests.servers.strict_s3 import Rules, StrictS3

MakeSpec = Callable[..., SubsetSpec]
TIMES = 60
CHUNK_SIZE = 100
KIB = 2**10


def plan_many(
    spec: SubsetSpec, release: Release, index_store: Store, locator: StoreLocator, folder: Path, rows_per_batch: int
) -> ChunkPlan:
    """A plan over the cells of a census again and again, as if it had more than a batch of an index holds."""
    subset, _ = plan_subset(spec, release, index_store, locator)
    store = locator.open()
    obs_path, var_path = (path(spec.name, subset.fingerprint) for path in (subset_obs_path, subset_var_path))
    obs = pa.concat_tables([load_table(store, obs_path)] * TIMES)
    assert obs.num_rows > ROWS_PER_BATCH
    write_feather(folder / "obs", obs.combine_chunks().to_batches(), obs.schema, rows_per_batch)
    store.put(obs_path, folder / "obs")
    subset, var = replace(subset, n_obs=obs.num_rows), feather_source(store, var_path)
    return make_plan(spec, subset, folder / "obs", var, folder / "ordered")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batches that were decoded, in order."""
    numbers: list[int] = []
    decode = FeatherFile._decode

    def spy(self: FeatherFile, number: int) -> pa.RecordBatch:
        numbers.append(number)
        return decode(self, number)

    monkeypatch.setattr(FeatherFile, "_decode", spy)
    return numbers


@pytest.mark.parametrize("rows_per_batch", [ROWS_OF_SUBSET, ROWS_PER_BATCH], ids=["now", "of earlier versions"])
def test_a_batch_is_decoded_once_a_span_and_chunks_are_those_that_are_made_alone(
    spec: MakeSpec, release: Release, index_store: Store, tmp_path: Path, decoded: list[int], rows_per_batch: int
) -> None:
    locators = [StoreLocator(url=(tmp_path / name).as_uri()) for name in ("together", "alone")]
    small = spec(chunk_size=CHUNK_SIZE)
    plans = [plan_many(small, release, index_store, locator, tmp_path, rows_per_batch) for locator in locators]
    first = ROWS_PER_BATCH // CHUNK_SIZE - 2
    chunks = plans[0].chunks[first : first + 5]
    assert chunks[0].row_stop < ROWS_PER_BATCH < chunks[-1].row_start  # two batches of either kind of file
    chunks = (*chunks[:2], *chunks[3:])
    jobs = [
        IngestJob(census=release.locator({}), store=locator, header=plan.header)
        for locator, plan in zip(locators, plans, strict=True)
    ]

    decoded.clear()
    with closing(Worker(jobs[0])) as worker:
        worker.open()
        assert decoded == []
        together = list(worker.run(Span(chunks)))
    of_span = list(decoded)
    with closing(Worker(jobs[1])) as worker:
        alone = [result for chunk in chunks for result in worker.run(Span((chunk,)))]

    edge = ROWS_PER_BATCH // rows_per_batch
    assert of_span == [edge - 1, edge]
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, ChunkReport)
        assert isinstance(other, ChunkReport)
        assert one.sha256 == other.sha256


def test_a_worker_reads_the_batches_of_its_spans_from_s3_and_little_more(
    server: StrictS3, spec: MakeSpec, release: Release, index_store: Store, tmp_path: Path
) -> None:
    columns = ("observation_joinid", "raw_sum", "raw_mean_nnz", "cell_type", "donor_id")
    small = spec(chunk_size=CHUNK_SIZE, obs_columns=columns)
    locator = server.locator()
    plan = plan_many(small, release, index_store, locator, tmp_path, ROWS_OF_SUBSET)
    chunks = plan.chunks[600:604]
    assert chunks[0].row_start // ROWS_OF_SUBSET == (chunks[-1].row_stop - 1) // ROWS_OF_SUBSET

    server.obey(Rules())
    with closing(Worker(IngestJob(census=release.locator({}), store=locator, header=plan.header))) as worker:
        worker.open()
        of_opening = n_read(server, "obs.feather")[1]
        results = list(worker.run(Span(chunks)))

    assert all(isinstance(result, ChunkReport) for result in results)
    n_bytes = (tmp_path / "obs").stat().st_size
    n_requests, of_all = n_read(server, "obs.feather")
    assert of_opening <= 32 * KIB
    assert of_all - of_opening <= 1.1 * n_bytes * ROWS_OF_SUBSET / plan.header.subset.n_obs
    assert n_requests <= 4
