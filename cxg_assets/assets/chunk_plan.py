"""The chunk plan: which cell goes to which file. Registers the partitions of `h5ad_chunks`."""

import dagster as dg

from cxg_assets.ingest.layout import plan_path
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.selection.subset import load_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.instance.partitions import register_partitions
from cxg_assets.instance.provenance import latest_data_version, made_from_tags
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.names import CENSUS_RELEASE, chunk_plan_key, filtered_subset_key
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource
from cxg_assets.ui.metadata import plan_metadata


def build_chunk_plan(spec: SubsetSpec, destination: str, code_version: str) -> dg.AssetsDefinition:
    """The plan asset; its code version changes with what the YAML says of the files."""

    @dg.asset(
        key=chunk_plan_key(spec.name),
        deps=[filtered_subset_key(spec.name), CENSUS_RELEASE],
        group_name=spec.name,
        kinds={"parquet"},
        code_version=code_version,
    )
    def chunk_plan(
        context: dg.AssetExecutionContext, store: StoreResource, census: CensusResource
    ) -> dg.MaterializeResult:
        fingerprint = latest_data_version(context.instance, filtered_subset_key(spec.name))
        with as_failure():
            opened = store.locator(destination).open()
            subset = load_subset(opened, spec.name, fingerprint)
            plan = store_plan(spec, subset, opened, census.locator(subset.release))
            left = register_partitions(context.instance, plan, opened)
        if left:
            context.log.warning(
                f"{counted(len(left), 'partition')} of an earlier plan back again, {left[0]} … {left[-1]}. This "
                "storage cannot forget what they were: they show as it, and stale, until their chunks are stored"
            )
        return dg.MaterializeResult(
            data_version=dg.DataVersion(plan.header.plan_id),
            tags=made_from_tags(plan.header.subset.release, {filtered_subset_key(spec.name): fingerprint}),
            metadata=plan_metadata(plan, opened.uri(plan_path(spec.name, plan.header.plan_id))),
        )

    return chunk_plan
