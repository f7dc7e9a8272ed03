"""The dataset: published when every chunk of the plan has landed."""

import dagster as dg

from cxg_assets.assets.failures import as_failure
from cxg_assets.assets.keys import CENSUS_RELEASE, chunk_plan_key, dataset_key, h5ad_chunks_key
from cxg_assets.assets.partition_truth import chunk_record
from cxg_assets.assets.upstream import latest_data_version, made_from_tags
from cxg_assets.ingest.dataset import publish
from cxg_assets.ingest.layout import dataset_path
from cxg_assets.ingest.pipeline import load_plan
from cxg_assets.metadata import dataset_metadata
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource


def build_dataset(subset: str, destination: str) -> dg.AssetsDefinition:
    """The dataset asset.

    Args:
        subset: Name of the subset.
        destination: URL of its store; empty for the default store.
    """

    @dg.asset(
        key=dataset_key(subset),
        # chunk_plan as well: beyond 100 partitions Dagster does not look at those for staleness.
        deps=[h5ad_chunks_key(subset), chunk_plan_key(subset), CENSUS_RELEASE],
        group_name=subset,
        kinds={"h5ad"},
        description=f"{subset} as published: manifest, card, citations, and dataset.json, which points to them.",
    )
    def dataset(
        context: dg.AssetExecutionContext, census: CensusResource, store: StoreResource
    ) -> dg.MaterializeResult:
        plan_id = latest_data_version(context.instance, chunk_plan_key(subset))
        with as_failure():
            opened = store.locator(destination).open()
            plan = load_plan(opened, subset, plan_id)
            reports = chunk_record(context.instance, plan, opened).reports
            published = publish(opened, plan, list(reports.values()), census.locator(plan.header.release))
        return dg.MaterializeResult(
            data_version=dg.DataVersion(plan_id),
            tags=made_from_tags(plan.header.release, {chunk_plan_key(subset): plan_id}),
            metadata=dataset_metadata(published, opened.uri(dataset_path(subset))),
        )

    return dataset
