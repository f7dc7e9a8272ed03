"""The published dataset as Parquet, for those who read Parquet or Hugging Face's `datasets`."""

from typing import Any

import dagster as dg

from cxg_assets.ingest.dataset.load import load_dataset
from cxg_assets.ingest.export.parquet import export_parquet
from cxg_assets.ingest.plan.plan_mark import marked
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.names import DESTINATION, dataset_key, parquet_key
from cxg_assets.resources.store import StoreResource
from cxg_assets.ui.metadata import export_metadata


def build_parquet(subset: str, destination: str) -> dg.AssetsDefinition:
    """The export asset.

    Args:
        subset: Name of the subset.
        destination: URL of its store; empty for the default store.
    """

    @dg.asset(
        key=parquet_key(subset),
        deps=[dataset_key(subset)],
        group_name=subset,
        metadata={DESTINATION: destination} if destination else {},
        kinds={"parquet", "huggingface"},
    )
    def parquet(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult[Any]:
        locator = store.locator(destination)
        with as_failure():
            opened = locator.open()
            plan_id = load_dataset(opened, subset).plan.header.plan_id
            with marked(locator, subset, plan_id, context.run_id, "exports"):
                exported = export_parquet(opened, subset)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(exported.plan_id),
            metadata=export_metadata(exported, opened.uri(exported.card_path)),
        )

    return parquet
