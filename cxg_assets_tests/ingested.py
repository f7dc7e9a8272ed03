"""The whole engine in one call: from a Census to stored chunks, the way the assets do it, without Dagster and Ray."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.chunks.report import ChunkFailure, ChunkReport
from cxg_assets.ingest.chunks.worker import IngestJob, Worker
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.plan.spans import Span, plan_spans
from cxg_assets.ingest.pools.pieces import begin_pieces
from cxg_assets.ingest.selection.index import make_index
from cxg_assets.ingest.selection.subset import Subset, make_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store, StoreLocator


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """A subset after its run.

    Attributes:
        spec: What was asked for.
        release: The build it was cut from.
        census: Where that is, pinned to the release's time.
        store: The destination, open.
        locator: The destination, as jobs get it.
        subset: What is known of its obs and var files.
        plan: Its chunks.
        reports: Chunks that are stored, in plan order.
        failures: Chunks that did not, in plan order.
    """

    spec: SubsetSpec
    release: Release
    census: CensusLocator
    store: Store
    locator: StoreLocator
    subset: Subset
    plan: ChunkPlan
    reports: tuple[ChunkReport, ...]
    failures: tuple[ChunkFailure, ...]

    @property
    def job(self) -> IngestJob:
        """What another worker needs to make chunks of this plan."""
        return job_of(self.census, self.locator, self.plan)

    def file(self, chunk: Chunk) -> Path:
        """Where a chunk of a `file://` destination lies."""
        return Path(self.store.url.removeprefix("file://")) / self.plan.path(chunk)

    def read(self, chunk: Chunk) -> Any:
        """A chunk of a `file://` destination as AnnData (`Any`: anndata declares wider types than it returns)."""
        return anndata.read_h5ad(self.file(chunk))


def job_of(census: CensusLocator, locator: StoreLocator, plan: ChunkPlan) -> IngestJob:
    """What a worker needs to make all chunks of a plan; where that takes two passes, with the pieces of the first."""
    pieces = begin_pieces(locator.open(), plan, plan.chunks, "test")
    return IngestJob(census=census, store=locator, header=plan.header, pieces=pieces)


def run_spans(job: IngestJob, spans: Sequence[Span]) -> tuple[list[ChunkReport], list[ChunkFailure]]:
    """Makes the chunks of some spans with one worker in this process."""
    reports: list[ChunkReport] = []
    failures: list[ChunkFailure] = []
    worker = Worker(job)
    try:
        for span in spans:
            for result in worker.run(span):
                if isinstance(result, ChunkReport):
                    reports.append(result)
                elif isinstance(result, ChunkFailure):
                    failures.append(result)
    finally:
        worker.close()
    return reports, failures


def plan_subset(
    spec: SubsetSpec, release: Release, index_store: Store, locator: StoreLocator
) -> tuple[Subset, ChunkPlan]:
    """Index (kept in `index_store`), subset and plan, as the three assets make them."""
    census = release.locator({})
    index = make_index(census, release, spec.experiment, index_store)
    store = locator.open()
    subset = make_subset(spec, index, index_store, census, store)
    return subset, store_plan(spec, subset, store, census)


def ingest_subset(
    spec: SubsetSpec, release: Release, index_store: Store, locator: StoreLocator, *, n_workers: int = 1
) -> Ingested:
    """Makes all chunks of a subset; the spans are those of `n_workers`, one worker takes them all."""
    subset, plan = plan_subset(spec, release, index_store, locator)
    census = release.locator({})
    job = job_of(census, locator, plan)
    first_pass = [] if job.pieces is None else [Span((piece,)) for piece in job.pieces.missing(locator.open())]
    reports, failures = run_spans(job, [*first_pass, *plan_spans(plan.chunks, n_workers)])
    return Ingested(
        spec=spec,
        release=release,
        census=census,
        store=locator.open(),
        locator=locator,
        subset=subset,
        plan=plan,
        reports=tuple(reports),
        failures=tuple(failures),
    )
