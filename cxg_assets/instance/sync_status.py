"""Which assets of a subset are Unsynced, and why: as the UI tells it, and in its words.

Dagster's own resolver decides, the one that answers the UI. It takes some milliseconds for each partition. What it says
of a chunk depends on the tags that tell what the chunk was made from, which many chunks share: of chunks with the same
tags it is asked for one.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import dagster as dg
from dagster import DagsterInstance
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleCause, StaleStatus
from dagster._core.definitions.temporal_context import TemporalContext
from dagster._time import get_current_datetime

from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.instance.partitions import ChunkRecord
from cxg_assets.instance.provenance import CODE_VERSION_TAG, DATA_VERSION_TAG, POINTER_TAG
from cxg_assets.names import chunk_plan_key, dataset_key, filtered_subset_key, h5ad_chunks_key

Causes = tuple[str, ...]
"""Why something is Unsynced, one entry a change, as the UI lists them."""


@dataclass(frozen=True, kw_only=True)
class SyncStatus:
    """What the UI tells of one asset.

    Attributes:
        key: Which.
        n: Its partitions; 1 where it has none.
        n_missing: How many were never materialized.
        unsynced: How many are Unsynced for the same causes, by these.
    """

    key: dg.AssetKey
    n: int
    n_missing: int
    unsynced: Mapping[Causes, int] = field(default_factory=dict)

    @property
    def is_in_sync(self) -> bool:
        """Whether all of it was made from what there is now."""
        return not self.n_missing and not self.unsynced


def sync_status(
    definitions: dg.Definitions, instance: DagsterInstance, plan: ChunkPlan, record: ChunkRecord
) -> list[SyncStatus]:
    """Asks Dagster about the assets of a subset; nothing is written.

    Args:
        definitions: Complete definitions of the subset as its YAML says it now.
        instance: What is on record.
        plan: The plan that is on record.
        record: Of its chunks.

    Returns:
        Of filtered_subset, chunk_plan, h5ad_chunks and dataset.
    """
    name = plan.header.subset.name
    graph = definitions.resolve_asset_graph()
    now = TemporalContext(effective_dt=get_current_datetime(), last_event_id=None)
    view = AssetGraphView(temporal_context=now, instance=instance, asset_graph=graph)
    resolver = CachingStaleStatusResolver(instance, graph, view)
    return [
        _of_asset(resolver, filtered_subset_key(name)),
        _of_asset(resolver, chunk_plan_key(name)),
        _of_chunks(resolver, h5ad_chunks_key(name), plan, record),
        _of_asset(resolver, dataset_key(name)),
    ]


def _of_asset(resolver: CachingStaleStatusResolver, key: dg.AssetKey) -> SyncStatus:
    if resolver.get_status(key) is StaleStatus.MISSING:
        return SyncStatus(key=key, n=1, n_missing=1)
    causes = _causes(resolver, key)
    return SyncStatus(key=key, n=1, n_missing=0, unsynced={causes: 1} if causes else {})


def _of_chunks(
    resolver: CachingStaleStatusResolver, key: dg.AssetKey, plan: ChunkPlan, record: ChunkRecord
) -> SyncStatus:
    alike: dict[frozenset[tuple[str, str]], list[str]] = {}
    for chunk in plan.chunks:
        if chunk.key in record.latest:
            alike.setdefault(_made_from(chunk.key, record.latest[chunk.key]), []).append(chunk.key)
    unsynced: Counter[Causes] = Counter()
    for chunks in alike.values():
        causes = _causes(resolver, key, chunks[0])
        if causes:
            unsynced[causes] += len(chunks)
    n_recorded = sum(len(chunks) for chunks in alike.values())
    return SyncStatus(key=key, n=len(plan.chunks), n_missing=len(plan.chunks) - n_recorded, unsynced=dict(unsynced))


def _made_from(chunk: str, tags: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """What of a materialization's tags the resolver looks at; of one without provenance it looks at the time."""
    if CODE_VERSION_TAG not in tags:
        return frozenset([("", chunk)])
    return frozenset(
        (name, value) for name, value in tags.items() if name != DATA_VERSION_TAG and not name.startswith(POINTER_TAG)
    )


def _causes(resolver: CachingStaleStatusResolver, key: dg.AssetKey, partition: str | None = None) -> Causes:
    counted = Counter(_as_the_ui_says(cause) for cause in resolver.get_stale_root_causes(key, partition))
    return tuple(said if n == 1 else f"{said} ({n:,} partitions)" for said, n in counted.items())


def _as_the_ui_says(cause: StaleCause) -> str:
    """The asset that has changed, and what of it."""
    if cause.dependency is None:
        return f"{cause.asset_key.to_user_string()} {cause.reason}"
    dependency = cause.dependency.asset_key.to_user_string()
    return cause.reason if cause.reason.endswith(dependency) else f"{dependency} {cause.reason}"
