"""What a Dagster instance has on record of chunks and of the runs over them, and what makes it show the truth.

Dagster knows partitions by their key alone, and the same keys are in every plan. It shows a partition as

- materialized: there is a materialization, of whichever plan. Provenance tags say of which; after a new plan it is
  stale until its chunk is stored for that plan too;
- failed: it was planned in a run that failed, and was not materialized since. A run over a range plans its partitions
  before it starts. The job for missing chunks has no partitions: it plans those that failed, at its end;
- materializing: it was planned in a run that has not ended.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import dagster as dg
from dagster import DagsterInstance
from dagster._core.events import AssetMaterializationPlannedData

from cxg_assets.ingest.chunks.report import ChunkReport, RunSummary
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan
from cxg_assets.ingest.storage.store import Store
from cxg_assets.instance.provenance import DATA_VERSION_TAG, POINTER_TAG, made_from_tags
from cxg_assets.names import chunk_partitions, chunk_plan_key, h5ad_chunks_key
from cxg_assets.ui.metadata import report_from, summary_from

PAGE = 1_000
"""Materializations fetched at once."""

LOOK_BACK = 100
"""Runs that are looked at for one that wrote: those that wrote nothing are passed over."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ChunkRecord:
    """What a Dagster instance has on record of a plan's chunks.

    Attributes:
        reports: The latest report of each chunk that was made for this plan, by chunk key; of another store where
            there is none of this one. Their URIs are those in this store: it may be a copy, or have been moved.
        elsewhere: Keys of the reports that are of another store.
        latest: Tags of the latest materialization of each partition, of whichever plan.
        materialized: Keys of the partitions that Dagster shows as materialized: neither failed nor materializing.
        noted: Keys of the partitions that Dagster shows as anything.
    """

    reports: Mapping[str, ChunkReport]
    elsewhere: Collection[str]
    latest: Mapping[str, Mapping[str, str]]
    materialized: Collection[str]
    noted: Collection[str]

    def shows(self, chunk: Chunk, tags: Mapping[str, str]) -> bool:
        """Whether the chunk's partition is shown as materialized, with its fingerprint and this provenance.

        Args:
            chunk: The chunk.
            tags: Some of those of `provenance_tags`, or all. Event pointers do not count: Dagster compares data
                versions of assets without partitions.
        """
        wanted = {name: value for name, value in tags.items() if not name.startswith(POINTER_TAG)}
        wanted[DATA_VERSION_TAG] = chunk.fingerprint
        return chunk.key in self.materialized and wanted.items() <= dict(self.latest.get(chunk.key, {})).items()


def chunk_record(instance: DagsterInstance, plan: ChunkPlan, store: Store) -> ChunkRecord:
    """Reads what is on record of a plan's chunks at a destination.

    A fingerprint alone does not tell a chunk's plan: plans that differ in `max_obs` have the same first chunks.
    """
    key = h5ad_chunks_key(plan.header.subset.name)
    paths = {chunk.key: plan.path(chunk) for chunk in plan.chunks}
    reports: dict[str, ChunkReport] = {}
    elsewhere: dict[str, ChunkReport] = {}
    latest: dict[str, Mapping[str, str]] = {}
    cursor: str | None = None
    while len(reports) < len(paths):
        page = instance.fetch_materializations(key, limit=PAGE, cursor=cursor)
        for record in page.records:
            event = record.asset_materialization
            if event is None or event.partition is None or event.partition not in paths:
                continue
            latest.setdefault(event.partition, event.tags or {})
            # What somebody reported by hand, in the UI, has no URI. A path has the plan and the fingerprint in it.
            path, uri = paths[event.partition], event.metadata.get("uri")
            if uri is not None and str(uri.value).endswith(f"/{path}"):
                here = store.uri(path)
                found = reports if uri.value == here else elsewhere
                if event.partition not in found:
                    found[event.partition] = replace(report_from(event.metadata), uri=here)
        if not page.has_more:
            break
        cursor = page.cursor
    status = _status(instance, plan, list(paths))
    return ChunkRecord(
        reports=elsewhere | reports,
        elsewhere=elsewhere.keys() - reports.keys(),
        latest=latest,
        materialized={name for name, value in status.items() if value == "MATERIALIZED"},
        noted=set(status),
    )


def summary_of(instance: DagsterInstance, run_id: str) -> RunSummary | None:
    """What a run over chunks said of itself; None when it ended before it could.

    Looked up by the run: the asset's latest observation may be that of another run, which ended meanwhile.
    """
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION).records
    observation = records[-1].event_log_entry.asset_observation if records else None
    return None if observation is None else summary_from(observation.metadata)


def last_writing_run(instance: DagsterInstance, subset: str) -> RunSummary | None:
    """What the last run said that wrote a chunk of a subset; None when there is none."""
    records = instance.fetch_observations(h5ad_chunks_key(subset), limit=LOOK_BACK).records
    observations = (record.asset_observation for record in records)
    summaries = (summary_from(observation.metadata) for observation in observations if observation is not None)
    return next((summary for summary in summaries if summary.n_files), None)


def show_as_failed(context: dg.OpExecutionContext, key: dg.AssetKey, chunks: Iterable[str]) -> None:
    """Lets the partitions of chunks that failed show so as soon as the run has failed.

    For a run without partitions; Dagster has planned those of a range run. 7 ms for each.
    """
    for chunk in chunks:
        planned = dg.DagsterEvent.build_asset_materialization_planned_event(
            context.job_name, str(context.op_handle), AssetMaterializationPlannedData(key, chunk)
        )
        context.instance.report_dagster_event(planned, context.run_id, logging.DEBUG)


def register_partitions(instance: DagsterInstance, plan: ChunkPlan, store: Store) -> list[str]:
    """Makes the partitions the plan's chunks, in plan order: a range of partitions goes by that order.

    A partition that an earlier plan had and the last one had not would come back with all that is on record of it, and
    show as materialized though no chunk of this plan is stored there. So what is on record is wiped, unless it is
    a chunk of this very plan. Dagster's own storages cannot wipe single partitions (1.13); `event_log.py` can.

    Partitions that stay from one plan to the next keep their history. They are stale, and show as materialized until
    their chunk is made.

    Returns:
        Keys of partitions that came back and could not be wiped. They show as materialized or failed, and stale.
    """
    name = chunk_partitions(plan.header.subset.name).name
    assert name is not None  # chunk_partitions names them
    planned = [chunk.key for chunk in plan.chunks]
    known = list(instance.get_dynamic_partitions(name))
    for key in known[len(planned) :]:
        instance.delete_dynamic_partition(name, key)
    new = plan.chunks[len(known) :]
    instance.add_dynamic_partitions(name, [chunk.key for chunk in new])
    return _wipe_other_plans(instance, plan, store, new) if new else []


def _wipe_other_plans(instance: DagsterInstance, plan: ChunkPlan, store: Store, chunks: Sequence[Chunk]) -> list[str]:
    """Wipes partitions that show anything but a chunk of this plan. Returns the keys of those that it could not."""
    key = h5ad_chunks_key(plan.header.subset.name)
    if not instance.has_asset_key(key):
        return []
    record = chunk_record(instance, plan, store)
    of_this_plan = made_from_tags(
        plan.header.subset.release, {chunk_plan_key(plan.header.subset.name): plan.header.plan_id}
    )
    others = [c.key for c in chunks if c.key in record.noted and not record.shows(c, of_this_plan)]
    if not others:
        return []
    try:
        instance.wipe_asset_partitions(key, others)
    except NotImplementedError:
        return others
    return []


def _status(instance: DagsterInstance, plan: ChunkPlan, keys: Sequence[str]) -> dict[str, str]:
    """What Dagster shows of each partition, by chunk key; without those that it shows as nothing."""
    subset = plan.header.subset.name
    status = instance.get_status_by_partition(h5ad_chunks_key(subset), keys, chunk_partitions(subset)) or {}
    return {key: value.value for key, value in status.items() if value is not None}
