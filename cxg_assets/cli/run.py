"""Runs a subset's jobs in this process, in the UI's Dagster instance, and says what they do as its events tell."""

import contextlib
import gc
import logging
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg
from dagster import DagsterInstance

from cxg_assets.cli.project import dagster_instance, existing_instance, look_up_release
from cxg_assets.cli.terminal.teller import Count, Teller
from cxg_assets.cli.terminal.telling import telling
from cxg_assets.cli.told import told_at_once
from cxg_assets.cli.warn import warnings_told
from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.ingest.census.census import keep_open
from cxg_assets.ingest.chunks.report import RunSummary
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.filters.grammar import Source, parse_expression
from cxg_assets.ingest.layout import dataset_path
from cxg_assets.ingest.plan.chunk_plan import Chunk, load_plan
from cxg_assets.ingest.plan.preflight import check_subset
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.plan.stored import stored_sizes
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.selection.index import as_indexed
from cxg_assets.ingest.spec import OF_OBSM, SubsetSpec
from cxg_assets.ingest.storage.probe import probe
from cxg_assets.ingest.storage.store import Store
from cxg_assets.instance.command_runs import execute_here
from cxg_assets.instance.dead_runs import report_killed_runs
from cxg_assets.instance.mixed_builds import refuse_mixed_builds
from cxg_assets.instance.partitions import summary_of
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.names import (
    chunk_plan_key,
    h5ad_chunks_key,
    ingest_job_name,
    missing_chunks_job_name,
    publish_job_name,
)
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.executors import require_pool, started_ahead
from cxg_assets.resources.store import StoreResource

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The command speaks for itself; the events are in the instance."""

STEPS = {
    "census_index": "looking up the census index, or building it: once per release",
    "filtered_subset": "selecting cells and genes",
    "chunk_plan": "planning the files",
}
"""What is said while an asset is materialized."""

PROGRESS = re.compile(r"first of two passes: |[\d,]+ of [\d,]+ chunks?, ")
"""How lines of a run's log begin that say how far it has come (`ui/progress.py`, `assets/first_pass.py`)."""


@dataclass(frozen=True, kw_only=True)
class IngestResult:
    """What an ingest did.

    Attributes:
        chunks: What the run over the chunks did.
        total_seconds: From the start of the command's work to its end.
        dataset_uri: Where dataset.json is; empty when it was not published.
        error: Why it was not published; empty when it was.
    """

    chunks: RunSummary
    total_seconds: float
    dataset_uri: str
    error: str

    def as_json(self) -> dict[str, Any]:
        """The summary for machines."""
        made = self.chunks
        return {
            **asdict(made),
            "mean_file_bytes": made.mean_file_bytes,
            "cells_per_second": made.cells_per_second,
            "hours_per_million_obs": made.hours_per_million_obs,
            "total_seconds": self.total_seconds,
            "dataset_uri": self.dataset_uri,
        }


@keep_open()
def run_ingest(
    spec: SubsetSpec, destination: str, census: CensusResource, store: StoreResource, *, workers: int, pool: str = ""
) -> IngestResult:
    """Checks a subset, then runs its jobs: release, index to plan, missing chunks, dataset.

    Args:
        spec: The subset.
        destination: URL of its store; empty for the default store.
        census: Which Census.
        store: The default store and S3 settings.
        workers: Worker processes; 0 is one for each CPU.
        pool: `ray` or `local`; empty goes by the environment.

    Raises:
        BadInput: The subset does not fit the Census or the destination, or no Ray answers at RAY_ADDRESS; nothing was
            written.
        CxgError: A step before the chunks failed.
    """
    began = time.monotonic()
    if spec.value_filter is not None:
        parse_expression(Source(text=spec.value_filter.strip(), where="value_filter"))
    require_pool(pool)
    # The census index goes to the default store.
    locators = store.locator(), store.locator(destination)
    with telling(spec.name, "checking the destination") as teller:
        for locator in set(locators):
            probe(locator)
        default, opened = (locator.open() for locator in locators)
        with (
            nullcontext(lambda: None) if is_published(spec, opened) else started_ahead(pool) as no_more_chunks,
            told_at_once(teller),
        ):
            release = as_indexed(look_up_release(census, teller), spec.experiment, default)
            census = census.pinned(release)
            with existing_instance() as known:
                refuse_mixed_builds(release, spec, known, opened)
            check_subset(spec, census.locator(release))
            with dagster_instance() as instance:
                report_killed_runs(instance)
                definitions = complete(
                    subset_definitions(spec, destination), census=census, store=store, workers=workers, pool=pool
                )
                first = str(uuid.uuid4())
                with warnings_told(instance, first), steps_told(instance, first, teller):
                    job = ingest_job_name(spec.name)
                    error = run_job(definitions, job, instance, run_id=first, first_run_id=first)
                if error:
                    raise CxgError(error)
                plan = load_plan(opened, spec.name, latest_data_version(instance, chunk_plan_key(spec.name)))
                stored = stored_sizes(opened, plan)
                missing = [chunk for chunk in plan.chunks if chunk.key not in stored]
                # All that is imported by now stays: a full collection over it would hold the driver up for 0.4 s.
                gc.freeze()
                run_id = str(uuid.uuid4())
                to_write = f"{len(missing):,} of {counted(len(plan.chunks), 'file')} to write"
                teller.step(f"{to_write}; starting workers" if missing else to_write)
                with cells_told(instance, run_id, h5ad_chunks_key(spec.name), missing, teller):
                    job = missing_chunks_job_name(spec.name)
                    error = run_job(definitions, job, instance, run_id=run_id, first_run_id=first)
                no_more_chunks()
                chunks = summary_of(instance, run_id)
                if chunks is None:
                    raise CxgError(error or f"run {run_id} left no summary of its chunks; see it in the UI")
                if not error:
                    teller.step("checking and publishing the dataset")
                    error = run_job(definitions, publish_job_name(spec.name), instance, first_run_id=first)
    return IngestResult(
        chunks=chunks,
        total_seconds=time.monotonic() - began,
        dataset_uri="" if error else opened.uri(dataset_path(spec.name)),
        error=error,
    )


def is_published(spec: SubsetSpec, store: Store) -> bool:
    """Whether what is published was made from a spec, as far as dataset.json tells: most likely no chunk is missing."""
    try:
        published = read_dataset(store, spec.name)
        published.header.subset.selection.require_selected_by(spec)
    except (CxgError, FileNotFoundError):
        return False
    n_chunks = published.header.subset.n_chunks(spec.chunk_size)
    header = published.header
    has_obsm = all(getattr(header, name) == getattr(spec, name) for name in OF_OBSM)
    return header.layers_in_words == spec.layers_in_words and has_obsm and published.n_chunks == n_chunks


def run_job(
    definitions: dg.Definitions,
    job: str,
    instance: DagsterInstance,
    *,
    run_id: str | None = None,
    first_run_id: str | None = None,
    ops: Mapping[str, Any] | None = None,
) -> str:
    """Runs a job here.

    Args:
        definitions: Where it is defined.
        job: Its name.
        instance: Where it is recorded.
        run_id: The run's id; None for a new one.
        first_run_id: The first run of the chain that it is part of; None for none.
        ops: Configuration of its ops, by name.

    Returns:
        Why it failed; empty when it did not.
    """
    config = _QUIET | {"ops": {name: {"config": values} for name, values in (ops or {}).items()}}
    result = execute_here(definitions, job, instance, config, run_id=run_id, first_run_id=first_run_id)
    if result.success:
        return ""
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data is not None and data.user_failure_data.description:
                return data.user_failure_data.description
            if data.error is not None:
                # Dagster's own error says only where it was.
                cause = data.error.cause or data.error
                return f"{job}, step {event.step_key}: {cause.message.strip()}"
    return f"{job} failed; see run {result.run_id} in the UI"


@contextlib.contextmanager
def steps_told(instance: DagsterInstance, run_id: str, teller: Teller) -> Iterator[None]:
    """While it lasts, says which asset a run makes."""

    def follow(event: dg.EventLogEntry) -> None:
        if event.dagster_event is not None and event.dagster_event.is_step_start:
            asset = (event.step_key or "").rpartition("__")[2]
            if asset in STEPS:
                teller.step(STEPS[asset])

    instance.add_event_listener(run_id, follow)
    yield


@contextlib.contextmanager
def cells_told(
    instance: DagsterInstance, run_id: str, key: dg.AssetKey, chunks: Sequence[Chunk], teller: Teller
) -> Iterator[None]:
    """Counts the cells of chunks to make, from the first one on, by the run's materializations as they are recorded.

    What was stored before may be recorded by the same run, and is not counted. Where there is no terminal the lines of
    the run's log are told, so that one throughput is told everywhere.
    """
    left = {chunk.key: chunk.n_obs for chunk in chunks}
    with contextlib.ExitStack() as stack:
        counts: list[Count] = []

        def follow(event: dg.EventLogEntry) -> None:
            made = event.asset_materialization
            if made is not None and made.asset_key == key and made.partition is not None:
                n_obs = left.pop(made.partition, 0)
                if n_obs and not counts:
                    n_all = sum(left.values()) + n_obs
                    counts.append(stack.enter_context(teller.count("", n_all, "cells", paced=False)))
                if n_obs:
                    counts[0].advance(n_obs)
            elif event.dagster_event is None and event.level == logging.INFO and PROGRESS.match(event.user_message):
                teller.line(event.user_message)

        instance.add_event_listener(run_id, follow)
        yield
