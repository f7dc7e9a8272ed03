"""What of a subset is Unsynced, as the UI tells it, and which attributes of its YAML were edited, as lines of text."""

from collections.abc import Sequence

import dagster as dg
from dagster import DagsterInstance

from cxg_assets.cli.project import Subset, default_store
from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ingest.selection.subset import load_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store
from cxg_assets.instance.partitions import ChunkRecord
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.instance.sync_status import SyncStatus, sync_status
from cxg_assets.names import chunk_plan_key, filtered_subset_key
from cxg_assets.resources.census import CensusResource

OF_THE_FILES = ("layer", "chunk_size", "compression")
"""Attributes of the YAML that a plan takes, and tells in its header."""


def sync_lines(
    declared: Subset, plan: ChunkPlan, record: ChunkRecord, store: Store, instance: DagsterInstance
) -> list[str]:
    """A line for each asset that is Unsynced or was never materialized, and one for those that are in sync.

    Args:
        declared: The subset as its YAML says it now.
        plan: Its current plan.
        record: What is on record of the plan's chunks.
        store: The destination.
        instance: What is on record.
    """
    spec = declared.spec
    definitions = complete(
        subset_definitions(spec, declared.destination), census=CensusResource(), store=default_store()
    )
    edited = {
        filtered_subset_key(spec.name): _selection_edits(spec, store, instance),
        chunk_plan_key(spec.name): _file_edits(spec, plan),
    }
    lines: list[str] = []
    in_sync: list[str] = []
    for status in sync_status(definitions, instance, plan, record):
        name = status.key.path[-1]
        if status.is_in_sync:
            in_sync.append(name)
        else:
            lines += [f"{name}: {text}" for text in _texts(status, edited.get(status.key, ()))]
    return lines + ([f"in sync: {', '.join(in_sync)}"] if in_sync else [])


def _texts(status: SyncStatus, edits: Sequence[str]) -> list[str]:
    """What is told of one asset, a text for each set of causes."""
    texts: list[str] = []
    for causes, n in status.unsynced.items():
        # The number that the UI shows on its tag.
        which = f" in {n:,} of {status.n:,} chunks" if status.n > 1 else ""
        why = f" (the YAML was edited: {'; '.join(edits)})" if edits else ""
        texts.append(f"Unsynced ({len(causes)}){which}: {'; '.join(causes)}{why}")
    if status.n_missing:
        which = f"{status.n_missing:,} of {status.n:,} chunks " if status.n > 1 else ""
        texts.append(f"{which}never materialized")
    return texts


def _selection_edits(spec: SubsetSpec, store: Store, instance: DagsterInstance) -> list[str]:
    """By which attributes the YAML selects something else than the subset on record was selected by."""
    try:
        version = latest_data_version(instance, filtered_subset_key(spec.name))
        return load_subset(store, spec.name, version).selection.differences(spec)
    except BadInput as error:
        return [str(error)]
    except (CxgError, FileNotFoundError, dg.Failure):
        return []  # made by another version, removed, or never made


def _file_edits(spec: SubsetSpec, plan: ChunkPlan) -> list[str]:
    """By which attributes the YAML asks for other files than the plan has."""
    pairs = [(name, getattr(plan.header, name), getattr(spec, name)) for name in OF_THE_FILES]
    return [f"{name} was {_text(was)}, is now {_text(now)}" for name, was, now in pairs if was != now]


def _text(value: str | int) -> str:
    return value if isinstance(value, str) else f"{value:,}"
