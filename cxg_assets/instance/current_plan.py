"""Which plan of a subset is the current one."""

import contextlib

import dagster as dg
from dagster import DagsterInstance

from cxg_assets.ingest.plan.chunk_plan import ChunkPlan, load_plan
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.storage.store import Store
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.names import chunk_plan_key


def current_plan(subset: str, store: Store, instance: DagsterInstance | None) -> ChunkPlan | None:
    """The plan of a subset that is on record; on a machine that knows of none, the one that is published.

    Args:
        subset: Name of the subset.
        store: Its destination.
        instance: The Dagster instance, if there is one.

    Raises:
        CxgError: The plan or dataset.json cannot be read.
    """
    plan_id = ""
    if instance is not None:
        with contextlib.suppress(dg.Failure):
            plan_id = latest_data_version(instance, chunk_plan_key(subset))
    try:
        return load_plan(store, subset, plan_id or read_dataset(store, subset).plan_id)
    except FileNotFoundError:
        return None
