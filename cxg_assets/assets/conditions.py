"""When an asset is made by itself, once the sensor `flow_through` is switched on.

Each asset follows the one before it, so that they are made in their order: all depend on the release directly, and
would be asked for at once when it changes, the chunks by the keys of the old plan. What counts is a new data version,
not a new materialization: a plan that was made again and is the same asks for nothing.
"""

import dagster as dg

_When = dg.AutomationCondition

DAILY = "0 4 * * *"
"""When to look for another build: a release comes every few months, a weekly build every week."""


def observed_daily() -> dg.AutomationCondition:
    """For the release. The first look is somebody's: what was never observed, Dagster does not ask for."""
    return _When.on_cron(DAILY)


def follows(upstream: dg.AssetKey) -> dg.AutomationCondition:
    """For an asset that is made from another: when that one has a new data version, or its own YAML was edited."""
    return _when(_other_data(upstream) | _When.code_version_changed())


def follows_chunks(chunks: dg.AssetKey) -> dg.AutomationCondition:
    """For the dataset: when chunks were made or are about to be, and none of them has failed.

    Not by their data versions: a plan with fewer chunks leaves those that stay as they were.
    """
    updated = _When.any_deps_updated().allow(dg.AssetSelection.assets(chunks))
    return _when(updated) & ~_When.any_deps_match(_When.execution_failed())


def _when(updated: dg.AutomationCondition) -> dg.AutomationCondition:
    """Dagster's `eager`, with something else that asks for the asset: all upstream is there, nothing is in progress."""
    return _When.eager().replace("any_deps_updated", updated)


def _other_data(upstream: dg.AssetKey) -> dg.AutomationCondition:
    return _When.any_deps_match(_When.data_version_changed()).allow(dg.AssetSelection.assets(upstream))
