"""The check of a chunk plan: every cell of the subset is in exactly one chunk."""

from collections.abc import Iterator

import dagster as dg

from cxg_assets.checks.check import Check, results
from cxg_assets.ingest.plan.chunk_plan import load_plan
from cxg_assets.ingest.verify.audit import audit_plan
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.names import chunk_plan_key
from cxg_assets.resources.store import StoreResource

COVERS_SUBSET = Check(
    name="plan_covers_subset",
    description="Every soma_joinid of the subset is in exactly one chunk, each chunk begins and ends with the cells of "
    "its rows, and no two chunks have one fingerprint. Reads the plan and the subset's soma_joinids.",
)


def build_plan_check(subset: str, destination: str) -> dg.AssetChecksDefinition:
    """The check of one chunk plan.

    Args:
        subset: Name of the subset.
        destination: URL of its store; empty for the default store.
    """
    key = chunk_plan_key(subset)

    @dg.multi_asset_check(name=f"{subset}_plan_checks", specs=[COVERS_SUBSET.spec(key)])
    def plan_checks(context: dg.AssetCheckExecutionContext, store: StoreResource) -> Iterator[dg.AssetCheckResult]:
        plan_id = latest_data_version(context.instance, key)
        with as_failure():
            opened = store.locator(destination).open()
            audit = audit_plan(load_plan(opened, subset, plan_id), opened)
        yield from results(key, [(COVERS_SUBSET, audit)], plan_id)

    return plan_checks
