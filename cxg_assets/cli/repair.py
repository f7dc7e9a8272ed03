"""Makes damaged chunks of a published dataset again and publishes it again, through the jobs that the UI shows."""

import contextlib
import uuid
from collections.abc import Sequence

import dagster as dg
from dagster import DagsterInstance

from cxg_assets.assets.h5ad_chunks import MissingChunks
from cxg_assets.cli.project import Subset, existing_instance
from cxg_assets.cli.run import cells_told, run_job
from cxg_assets.cli.terminal.telling import telling
from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.ingest.census.census import keep_open
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.plan.chunk_plan import load_plan
from cxg_assets.ingest.plan.published import Dataset
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.storage.store import Store
from cxg_assets.instance.partitions import chunk_record
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.names import (
    chunk_plan_key,
    h5ad_chunks_key,
    make_missing_op_name,
    missing_chunks_job_name,
    publish_job_name,
)
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.executors import require_pool
from cxg_assets.resources.store import StoreResource


@keep_open()
def run_repair(
    subset: Subset, destination: str, resource: StoreResource, dataset: Dataset, chunks: Sequence[str]
) -> str:
    """Makes chunks again where they are stored, records them, and publishes the dataset again.

    Args:
        subset: The subset as its YAML says it.
        destination: URL of its store; empty for the default store.
        resource: How that store is reached.
        dataset: What is published there.
        chunks: Keys of the damaged chunks; none to only publish again.

    Raises:
        BadInput: What is published is not what is on record in this Dagster instance, or no Ray answers at RAY_ADDRESS;
            nothing was written.

    Returns:
        Why it failed; empty when it did not.
    """
    name = subset.spec.name
    require_pool()
    store = resource.locator(destination).open()
    with existing_instance() as instance:
        _require_on_record(store, dataset, instance)
        assert instance is not None
        definitions = complete(subset_definitions(subset.spec, destination), census=CensusResource(), store=resource)
        plan = load_plan(store, name, dataset.header.plan_id)
        job = missing_chunks_job_name(name)
        with telling(f"repair {name}") as teller:
            if chunks:
                run_id = str(uuid.uuid4())
                config = MissingChunks(chunks=list(chunks), replace=True).model_dump()
                teller.step(f"{counted(len(chunks), 'damaged chunk')} to write again; starting workers")
                with cells_told(instance, run_id, h5ad_chunks_key(name), plan.chunks_of(chunks), teller):
                    error = run_job(definitions, job, instance, run_id=run_id, ops={make_missing_op_name(name): config})
                if error:
                    return error
            if len(chunk_record(instance, plan, store).reports) < len(plan.chunks):
                # An ingest that came upon the damage has recorded none of the chunks after it.
                teller.step("recording the stored chunks")
                error = run_job(definitions, job, instance)
                if error:
                    return error
            teller.step("checking and publishing the dataset")
            return run_job(definitions, publish_job_name(name), instance)


def _require_on_record(store: Store, dataset: Dataset, instance: DagsterInstance | None) -> None:
    """Refuses to repair what this Dagster instance does not know.

    Raises:
        BadInput: Another plan is on record, or none.
    """
    on_record, name, published = "", dataset.header.subset.name, dataset.header.plan_id
    ingest = store.follow_up("ingest", name)
    if instance is not None:
        with contextlib.suppress(dg.Failure):
            on_record = latest_data_version(instance, chunk_plan_key(name))
    if not on_record:
        raise BadInput(
            f"{name}: plan {published} is published, and this Dagster instance has no plan on record; {ingest}, with "
            "the options that it was made with, puts it on record. Then repair it"
        )
    if on_record != published:
        raise BadInput(
            f"{name}: plan {published} is published, and plan {on_record} is on record in this Dagster instance; "
            f"{ingest} writes and publishes what the YAML says now"
        )
