"""Writes chunks of a plan inside a step, and records each as the materialization of its partition once it is stored.

Dagster's own way records a range of partitions at its end, all or nothing. Here the step yields nothing and logs one
materialization a chunk, with its metadata, data version and provenance, so that what is stored counts whatever happens
to the rest.
"""

import contextlib
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import dagster as dg

from cxg_assets.assets.first_pass import run_first_pass
from cxg_assets.ingest.chunks.report import ChunkFailure, ChunkReport, Costs, PieceReport, RunSummary
from cxg_assets.ingest.chunks.stored_chunk import read_report
from cxg_assets.ingest.chunks.worker import IngestJob
from cxg_assets.ingest.errors import Unreachable
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan
from cxg_assets.ingest.plan.spans import plan_spans
from cxg_assets.ingest.plan.stored import stored_chunks
from cxg_assets.ingest.pools.pieces import begin_pieces, remove_pieces
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.storage.local import Listed
from cxg_assets.ingest.storage.probe import lacking, probe_writing
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.x.reader import BUFFER_BYTES
from cxg_assets.instance.partitions import chunk_record, show_as_failed
from cxg_assets.instance.provenance import DATA_VERSION_TAG, latest_data_version
from cxg_assets.names import chunk_plan_key
from cxg_assets.resources.executor import PoolExecutor, StepContext
from cxg_assets.ui import plots
from cxg_assets.ui.metadata import Metadata, chunk_metadata, summary_metadata
from cxg_assets.ui.pictures import drawn, run_pictures
from cxg_assets.ui.progress import Progress, closing_line

LOOK_SECONDS = 1.0
"""Pace at which a run looks whether its plan is still the current one: 3 ms of the driver's CPU (measured)."""


@dataclass(kw_only=True)
class ChunkRecorder:
    """Records the chunks of one plan as partitions of one asset.

    Attributes:
        context: The step's.
        key: The asset.
        plan: The plan.
        tags: Provenance of what is recorded, from `provenance_tags`.
    """

    context: StepContext
    key: dg.AssetKey
    plan: ChunkPlan
    tags: Mapping[str, str]
    _looked: float = 0.0

    def require_current_plan(self) -> None:
        """Ends the run when another plan was made meanwhile: the partitions are that plan's, and would tell wrong.

        Looks once in `LOOK_SECONDS`. What was recorded before it saw the new plan, the new plan's run sets right.

        Raises:
            Failure: Another plan was made.
        """
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        plan, subset = self.plan.header.plan_id, self.plan.header.subset.name
        current = latest_data_version(self.context.instance, chunk_plan_key(subset))
        if current != plan:
            raise dg.Failure(
                f"{subset}: plan {current} was made while the chunks of plan {plan} were; this run ends. "
                "What is stored stays where it is; run again for the chunks of the new plan",
                allow_retries=False,
            )

    def record(self, report: ChunkReport, *, already_stored: bool = False) -> None:
        """Logs one chunk. Of one that lay there when this run began the event says so: Dagster dates it by this run."""
        self.context.log_event(
            dg.AssetMaterialization(
                asset_key=self.key,
                partition=report.chunk,
                description=_found(report) if already_stored else None,
                metadata=chunk_metadata(report, already_stored=already_stored),
                tags={**self.tags, DATA_VERSION_TAG: report.fingerprint},
            )
        )
        # Dagster keeps every event that a step logs until the step ends; it is in the instance already.
        deque(self.context.consume_events(), maxlen=0)

    def record_failed(self, failures: Iterable[ChunkFailure]) -> None:
        """Lets the partitions of chunks that could not be made show as failed when the run has ended."""
        if isinstance(self.context, dg.OpExecutionContext):
            show_as_failed(self.context, self.key, (failure.chunk for failure in failures))

    def observe(self, summary: RunSummary, more: Metadata) -> None:
        """Logs what a run did, with its pictures and links, as an observation of the whole asset."""
        metadata = {**summary_metadata(summary), **more}
        self.context.log_event(dg.AssetObservation(asset_key=self.key, metadata=metadata))

    def record_stored(self, store: Store, stored: Mapping[str, Listed], *, again: bool) -> None:
        """Records chunks that were stored before this run, with the time at which they were.

        Args:
            store: The destination.
            stored: What a listing says of them, by chunk key.
            again: Record also what the partition shows already: Dagster takes a key of a range without an event for
                one that failed, when the run fails and when it is a backfill's.
        """
        known = chunk_record(self.context.instance, self.plan, store)
        for chunk in self.plan.chunks_of(stored):
            report = known.reports.get(chunk.key)
            if report is None or chunk.key in known.elsewhere:
                # Stored in a run that was killed before it could record it, or through another Dagster instance.
                report = read_report(store, self.plan.header, chunk)
            elif known.shows(chunk, self.tags) and not again:
                continue
            # Else the last event of its partition is of another plan, or is a run that failed or was killed.
            when = report.stored_at or stored[chunk.key].modified.timestamp()
            self.record(replace(report, stored_at=when), already_stored=True)


def make_chunks(
    recorder: ChunkRecorder, job: IngestJob, wanted: Sequence[Chunk], executor: PoolExecutor, *, record_again: bool
) -> RunSummary:
    """Writes those of the wanted chunks that are not stored, in one pool; with `job.replace` all of them.

    Args:
        recorder: Records what is stored.
        job: What the workers need to know.
        wanted: The chunks to have, in plan order.
        executor: Launches the pool.
        record_again: As `again` of `ChunkRecorder.record_stored`.

    Raises:
        Failure: A chunk could not be written, and the message names each; or another plan was made meanwhile. What is
            stored is recorded.
        BadInput: The Census was replaced meanwhile; what was stored until then is recorded.
    """
    context, plan, store = recorder.context, recorder.plan, job.store.open()
    found = {} if job.replace else stored_chunks(store, plan)
    missing = [chunk for chunk in wanted if chunk.key not in found]
    stored = {chunk.key: found[chunk.key] for chunk in wanted if chunk.key in found}
    requested = counted(len(wanted), "chunk")
    context.log.info(f"{requested} requested: {len(stored):,} already stored, {len(missing):,} to write")
    # A step that is begun again has told of what it found the first time, and has written the rest itself.
    recorder.record_stored(store, stored, again=record_again and not context.retry_number)
    reports: list[ChunkReport] = []
    failures: list[ChunkFailure] = []
    n_workers = n_retries = n_deaths = 0
    seconds, cpu_began = 0.0, time.process_time()
    of_first_pass = Costs()
    more: Metadata = {}
    if missing:
        job = replace(_prove(context, job), pieces=begin_pieces(store, plan, missing, context.run_id))
        plots.import_ahead()
        n_pieces = 0 if plan.two_passes is None else len(plan.two_passes.piece_stops)
        with executor.launch(job, max(len(missing), n_pieces), context) as pool:
            if pool.dashboard_url is not None:
                context.log.info(f"Ray dashboard: {pool.dashboard_url}")
                more["ray_dashboard"] = dg.MetadataValue.url(pool.dashboard_url)
            if job.pieces is not None:
                of_first_pass = run_first_pass(context, pool, job.pieces, store)
            progress, began_at = Progress(len(missing), sum(chunk.n_obs for chunk in missing)), time.time()
            for result in pool.run(plan_spans(missing, pool.n_workers)):
                if isinstance(result, ChunkFailure):
                    failures.append(result)
                    progress.failed()
                    attempts = counted(result.attempt, "attempt")
                    context.log.error(f"chunk {result.chunk} failed after {attempts}: {result.error}")
                    continue
                assert not isinstance(result, PieceReport)
                recorder.require_current_plan()
                recorder.record(result)
                reports.append(result)
                progress.stored(result)
                if line := progress.line(pool.n_retries):
                    context.log.info(line)
            # Taken before the pool ends: to shut a Ray down takes seconds, and all chunks are stored.
            seconds = progress.seconds
            if job.pieces is not None and not failures:
                remove_pieces(store, job.pieces)
            n_workers, n_retries, n_deaths = pool.n_workers, pool.n_retries, pool.n_deaths
        more |= drawn(context.log, lambda: run_pictures(plan, reports, began_at))
    summary = RunSummary(
        n_obs=sum(report.n_obs for report in reports),
        n_files=len(reports),
        n_skipped=len(stored),
        n_failed=len(failures),
        total_bytes=sum(report.n_bytes for report in reports),
        ingest_seconds=seconds,
        workers=n_workers,
        retries=n_retries,
        workers_lost=n_deaths,
        launches=context.retry_number + 1,
        driver_cpu_seconds=round(time.process_time() - cpu_began, 3),
        **asdict(Costs.of((of_first_pass, *reports))),
    )
    recorder.observe(summary, more)
    context.log.info(closing_line(summary))
    if failures:
        recorder.record_failed(failures)
        # Whatever the chunks say: where the Census was replaced it is that, and to run again would not help.
        with contextlib.suppress(Unreachable):
            job.header.subset.release.confirm(job.census)
        names = ", ".join(sorted(failure.chunk for failure in failures))
        raise dg.Failure(
            f"{len(failures):,} of {counted(len(wanted), 'chunk')} failed: {names}. The first: {failures[0].error}. "
            "The others are stored; run again to write only these",
            allow_retries=False,
        )
    return summary


def _found(report: ChunkReport) -> str:
    """What the event of a chunk says that lay there already; the log has it as the event's line."""
    when = datetime.fromtimestamp(report.stored_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"chunk {report.chunk} was already stored, at {when}; it was not written again"


def _prove(context: StepContext, job: IngestJob) -> IngestJob:
    """The same job for the destination as it is: X can be opened and chunks can be stored, before any worker starts.

    Raises:
        BadInput: They cannot; the message has the reason.
    """
    proven = probe_writing(job.store)
    for finding in lacking(proven):
        context.log.warning(finding.what)
    with job.census.open_x(job.header.x_uri, n_threads=1, buffer_bytes=BUFFER_BYTES) as x:
        x_nnz = x.nnz
    # After X: what was opened before is of this release too.
    job.header.subset.release.confirm(job.census)
    return replace(job, store=proven, x_nnz=x_nnz)
