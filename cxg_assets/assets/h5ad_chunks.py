"""The chunks: one h5ad file (or zarr dataset) each, written by the pool, a whole range of partitions in one run."""

from collections.abc import Iterator, Mapping

import dagster as dg

from cxg_assets.assets.recording import ChunkRecorder, make_chunks
from cxg_assets.ingest.chunks.worker import IngestJob
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.plan.chunk_plan import load_plan, require_plan
from cxg_assets.ingest.plan.fingerprint import encoding_version
from cxg_assets.ingest.plan.plan_mark import marked
from cxg_assets.instance.dead_runs import process_tag
from cxg_assets.instance.provenance import latest_data_version, provenance_tags
from cxg_assets.instance.step_failures import as_failure, begun_again
from cxg_assets.names import (
    ASSET_LOADER,
    CENSUS_POOL,
    CENSUS_RELEASE,
    DESTINATION,
    chunk_partitions,
    chunk_plan_key,
    h5ad_chunks_key,
    make_missing_op_name,
    missing_chunks_job_name,
)
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.executor import PoolExecutor, StepContext
from cxg_assets.resources.store import StoreResource

LAUNCH_RETRIES = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL)
"""For a launch that dies: Ray does not start, or loses all its nodes. What the pool itself has tried in vain (a chunk,
a store) ends the run, and so does bad input."""


class MissingChunks(dg.Config):
    """Which chunks the job for missing chunks writes."""

    chunks: list[str] = []
    """Keys of chunks; empty for every chunk of the plan that is not stored."""

    replace: bool = False
    """Write the chunks again also where they are stored. They must be named then."""


def build_h5ad_chunks(
    subset: str, destination: str, tags: Mapping[str, str], chunk_format: str
) -> tuple[dg.AssetsDefinition, dg.JobDefinition]:
    """The chunk asset, and the job that writes what is missing; its runs have the tags."""
    key = h5ad_chunks_key(subset)
    version = str(encoding_version(chunk_format))
    spec = dg.AssetSpec(key, deps=[chunk_plan_key(subset), CENSUS_RELEASE], code_version=version)

    def make(
        context: StepContext,
        census: CensusResource,
        store: StoreResource,
        executor: PoolExecutor,
        keys: list[str] | None,
        *,
        replace: bool = False,
    ) -> None:
        """Writes the chunks of a range of partitions, or (None) all that are missing."""
        plan_id = latest_data_version(context.instance, chunk_plan_key(subset))
        context.instance.add_run_tags(context.run_id, process_tag())
        with begun_again(context, LAUNCH_RETRIES), as_failure():
            if replace and keys is None:
                raise BadInput("replace: chunks is empty; name the chunks that are to be written again")
            locator = store.locator(destination)
            with marked(locator, subset, plan_id, context.run_id, "writes chunks"):
                plan = load_plan(locator.open(), subset, plan_id)
                plan.require_known_format()
                wanted = plan.chunks if keys is None else plan.chunks_of(keys)
                census_locator = census.locator(plan.header.subset.release)
                job = IngestJob(census=census_locator, store=locator, header=plan.header, replace=replace)
                provenance = provenance_tags(
                    context.instance, spec, plan.header.subset.release, {chunk_plan_key(subset): plan_id}
                )
                recorder = ChunkRecorder(context=context, key=key, plan=plan, tags=provenance)
                in_range = isinstance(context, dg.AssetExecutionContext)
                make_chunks(recorder, job, wanted, executor, record_again=in_range)
                # A machine that slept for hours has no mark in the meantime.
                require_plan(locator.open(), subset, plan_id)

    @dg.asset(
        key=key,
        deps=spec.deps,
        partitions_def=chunk_partitions(subset),
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=CENSUS_POOL,
        group_name=subset,
        io_manager_key=ASSET_LOADER,
        metadata={DESTINATION: destination} if destination else {},
        kinds={"ray", chunk_format},
        code_version=spec.code_version,
        output_required=False,
    )
    def h5ad_chunks(
        context: dg.AssetExecutionContext, census: CensusResource, store: StoreResource, executor: PoolExecutor
    ) -> Iterator[dg.Output[None]]:
        make(context, census, store, executor, list(context.partition_keys))
        return
        # A generator that yields nothing: for a plain function Dagster would record every partition once more.
        yield

    @dg.op(name=make_missing_op_name(subset), pool=CENSUS_POOL)
    def make_missing(
        context: dg.OpExecutionContext,
        config: MissingChunks,
        census: CensusResource,
        store: StoreResource,
        executor: PoolExecutor,
    ) -> None:
        make(context, census, store, executor, config.chunks or None, replace=config.replace)

    @dg.job(
        name=missing_chunks_job_name(subset),
        executor_def=dg.in_process_executor,
        tags=tags,
        description=f"Writes the missing chunks of {subset}, failed ones too, however scattered, in one run. Needs no "
        "config. In the Launchpad `chunks` names some, and `replace` writes those again that are stored.",
    )
    def missing_chunks() -> None:
        make_missing()

    return h5ad_chunks, missing_chunks
