"""Makes chunks of a plan inside a step, and records each as the materialization of its partition when it has landed.

Dagster's own way records a range of partitions at its end, all or nothing. Here the step yields nothing and logs one
materialization a chunk, with its metadata, data version and provenance, so that what landed counts whatever happens to
the rest.
"""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

import dagster as dg
from dagster import DagsterInstance

from cxg_assets.assets.upstream import DATA_VERSION_TAG
from cxg_assets.ingest.landed import read_report
from cxg_assets.ingest.pipeline import landed_sizes
from cxg_assets.ingest.plan import Chunk, ChunkPlan
from cxg_assets.ingest.probe import probe_writing
from cxg_assets.ingest.reader import BUFFER_BYTES
from cxg_assets.ingest.report import ChunkFailure, ChunkReport, RunSummary
from cxg_assets.ingest.spans import plan_spans
from cxg_assets.ingest.store import Store
from cxg_assets.ingest.worker import IngestJob
from cxg_assets.metadata import chunk_metadata, report_from, summary_metadata
from cxg_assets.resources.executor import RayPoolExecutor

StepContext = dg.AssetExecutionContext | dg.OpExecutionContext

LOG_SECONDS = 10.0
"""Pace of the progress line in the run's log."""

PAGE = 1_000
"""Materializations fetched at once."""


class ChunkRecorder:
    """Records the chunks of one plan as partitions of one asset."""

    def __init__(self, context: StepContext, key: dg.AssetKey, plan: ChunkPlan, tags: dict[str, str]) -> None:
        """Prepares to record.

        Args:
            context: The step's.
            key: The chunk asset.
            plan: The plan.
            tags: Provenance of what is recorded, from `upstream.provenance_tags`.
        """
        self._context = context
        self._key = key
        self._plan = plan
        self._tags = tags

    def record(self, report: ChunkReport) -> None:
        """Logs one chunk as landed."""
        self._context.log_event(
            dg.AssetMaterialization(
                asset_key=self._key,
                partition=report.chunk,
                metadata=chunk_metadata(report),
                tags={**self._tags, DATA_VERSION_TAG: report.fingerprint},
            )
        )
        # Dagster keeps every event that a step logs until the step ends; it is in the instance already.
        deque(self._context.consume_events(), maxlen=0)

    def observe(self, summary: RunSummary) -> None:
        """Logs what a run did, as an observation of the whole asset."""
        self._context.log_event(dg.AssetObservation(asset_key=self._key, metadata=summary_metadata(summary)))

    def record_landed(self, store: Store, chunks: Iterable[Chunk], *, again: bool) -> int:
        """Records chunks that had landed before this run. Returns how many there are.

        Args:
            store: The destination.
            chunks: Chunks that lie there.
            again: Record also what this instance has on record: Dagster expects an event for each key of a range.
        """
        known = recorded_reports(self._context.instance, self._key, self._plan)
        n_landed = 0
        for chunk in chunks:
            report = known.get(chunk.key)
            if report is None:
                # Landed in a run that was killed before it could record it, or through another Dagster instance.
                self.record(read_report(store, self._plan.header, chunk))
            elif again:
                self.record(report)
            n_landed += 1
        return n_landed


def recorded_reports(instance: DagsterInstance, key: dg.AssetKey, plan: ChunkPlan) -> dict[str, ChunkReport]:
    """The latest report of each chunk that is on record with the plan's fingerprint, by chunk key.

    Args:
        instance: Where the materializations are.
        key: The chunk asset.
        plan: The plan.
    """
    wanted = {chunk.key: chunk.fingerprint for chunk in plan.chunks}
    reports: dict[str, ChunkReport] = {}
    cursor: str | None = None
    while len(reports) < len(wanted):
        page = instance.fetch_materializations(key, limit=PAGE, cursor=cursor)
        for record in page.records:
            event = record.asset_materialization
            if event is None or event.partition is None or event.partition in reports:
                continue
            if (event.tags or {}).get(DATA_VERSION_TAG) == wanted.get(event.partition):
                reports[event.partition] = report_from(event.metadata)
        if not page.has_more:
            break
        cursor = page.cursor
    return reports


def make_chunks(
    context: StepContext,
    recorder: ChunkRecorder,
    job: IngestJob,
    plan: ChunkPlan,
    wanted: Sequence[Chunk],
    executor: RayPoolExecutor,
    *,
    record_again: bool,
) -> RunSummary:
    """Makes those of the wanted chunks that have not landed, in one pool.

    Args:
        context: The step's.
        recorder: Records what lands.
        job: What the workers need to know.
        plan: The plan.
        wanted: The chunks to have, in plan order.
        executor: Launches the pool.
        record_again: Record chunks that had landed before also when they are on record.

    Raises:
        Failure: A chunk could not be made; the message names each. What landed is recorded.
    """
    store = job.store.open()
    sizes = landed_sizes(store, plan)
    missing = [chunk for chunk in wanted if chunk.key not in sizes]
    n_skipped = recorder.record_landed(store, (chunk for chunk in wanted if chunk.key in sizes), again=record_again)
    context.log.info(f"{len(wanted):,} chunks wanted, {n_skipped:,} have landed before, {len(missing):,} to make")
    reports: list[ChunkReport] = []
    failures: list[ChunkFailure] = []
    n_workers = n_retries = 0
    seconds = 0.0
    if missing:
        job = _prove(context, job)
        with executor.launch(job, len(missing), context) as pool:
            began = logged = time.monotonic()
            for result in pool.run(plan_spans(missing, pool.n_workers)):
                if isinstance(result, ChunkFailure):
                    failures.append(result)
                    context.log.error(f"chunk {result.chunk} failed after {result.attempt} attempts: {result.error}")
                    continue
                recorder.record(result)
                reports.append(result)
                if time.monotonic() - logged > LOG_SECONDS:
                    logged = time.monotonic()
                    context.log.info(_progress(reports, missing, logged - began))
            # Taken before the pool ends: to shut a Ray down takes seconds, and all chunks have landed.
            seconds = time.monotonic() - began
            n_workers, n_retries = pool.n_workers, pool.n_retries
    summary = RunSummary(
        n_obs=sum(report.n_obs for report in reports),
        n_files=len(reports),
        n_skipped=n_skipped,
        n_failed=len(failures),
        total_bytes=sum(report.n_bytes for report in reports),
        ingest_seconds=seconds,
        workers=n_workers,
        retries=n_retries,
    )
    recorder.observe(summary)
    if failures:
        names = ", ".join(sorted(failure.chunk for failure in failures))
        raise dg.Failure(
            f"{len(failures)} of {len(wanted)} chunks failed: {names}. The first: {failures[0].error}. "
            "The others have landed; run again to make only these",
            allow_retries=False,
        )
    return summary


def _prove(context: StepContext, job: IngestJob) -> IngestJob:
    """Proves that X can be opened and chunks can be stored, before any worker starts.

    Raises:
        BadInput: They cannot; the message has the reason.

    Returns:
        The same job, for the destination as it is.
    """
    proven = probe_writing(job.store)
    for sentence in proven.lacks:
        context.log.warning(f"{proven.locator.url}: {sentence}")
    job.census.open_x(job.header.x_uri, n_threads=1, buffer_bytes=BUFFER_BYTES).close()
    return replace(job, store=proven.locator)


def _progress(reports: Sequence[ChunkReport], missing: Sequence[Chunk], seconds: float) -> str:
    n_obs, n_left = sum(report.n_obs for report in reports), sum(chunk.n_obs for chunk in missing)
    speed = n_obs / seconds
    return f"{len(reports):,} of {len(missing):,} chunks, {speed:,.0f} cells/s, {(n_left - n_obs) / speed:,.0f} s left"
