"""When an asset is made by itself, once the sensor `keep_up_to_date` is switched on.

Each asset follows the one before it, so that they are made in their order: all depend on the release directly, and
would be asked for at once when it changes, the chunks by the keys of the old plan. What counts is a new data version,
not a new materialization: a plan that was made again and is the same asks for nothing.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta

import dagster as dg

from cxg_assets.names import (
    census_index_key,
    chunk_plan_key,
    dataset_key,
    filtered_subset_key,
    h5ad_chunks_key,
    parquet_key,
)

_When = dg.AutomationCondition

DAILY = "0 4 * * *"
"""When to look for another build: a release comes every few months, a weekly build every week."""

FRESH = dg.FreshnessPolicy.time_window(warn_window=timedelta(days=200), fail_window=timedelta(days=400))
"""Of an index: a long-term release comes about twice a year.

Not of the release, as Dagster 1.13 judges freshness by materializations, and what is observed has none.
"""


def with_freshness(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """An index that Dagster warns of when no other release was indexed for long."""
    return asset.map_asset_specs(lambda spec: spec.replace_attributes(freshness_policy=FRESH))


def with_conditions(
    assets: Iterable[dg.AssetsDefinition], conditions: Mapping[dg.AssetKey, dg.AutomationCondition]
) -> list[dg.AssetsDefinition]:
    """Assets that are made by themselves when their condition says so."""
    return [
        asset.map_asset_specs(lambda spec: spec.replace_attributes(automation_condition=conditions[spec.key]))
        for asset in assets
    ]


def of_subset(subset: str, experiment: str) -> dict[dg.AssetKey, dg.AutomationCondition]:
    """The condition of each asset of a subset."""
    # Not by the chunks' data versions: a plan with fewer chunks leaves those that stay as they were.
    chunks_updated = _When.any_deps_updated().allow(dg.AssetSelection.assets(h5ad_chunks_key(subset)))
    return {
        filtered_subset_key(subset): follows(census_index_key(experiment)),
        chunk_plan_key(subset): follows(filtered_subset_key(subset)),
        h5ad_chunks_key(subset): follows(chunk_plan_key(subset)),
        # When chunks were made or are about to be, and none of them has failed.
        dataset_key(subset): _when(chunks_updated) & ~_When.any_deps_match(_When.execution_failed()),
        parquet_key(subset): follows(dataset_key(subset)),
    }


def observed_daily() -> dg.AutomationCondition:
    """For the release. The first look is somebody's: what was never observed, Dagster does not ask for."""
    return _When.on_cron(DAILY)


def follows(*upstream: dg.AssetKey) -> dg.AutomationCondition:
    """For an asset that is made from others: when one has a new data version, or its own YAML was edited."""
    other_data = _When.any_deps_match(_When.data_version_changed()).allow(dg.AssetSelection.assets(*upstream))
    return _when(other_data | _When.code_version_changed())


def _when(updated: dg.AutomationCondition) -> dg.AutomationCondition:
    """Dagster's `eager`, with something else that asks for the asset: all upstream is there, nothing is in progress."""
    return _When.eager().replace("any_deps_updated", updated)
