"""The checks of a filtered subset: its cells are there, are those that were asked for, and none is there twice."""

from collections.abc import Iterator

import dagster as dg

from cxg_assets.checks.check import Check, results
from cxg_assets.ingest.selection.index import load_index
from cxg_assets.ingest.selection.subset import load_subset
from cxg_assets.ingest.verify.selection import audit_subset
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.names import filtered_subset_key
from cxg_assets.resources.store import StoreResource

NOT_EMPTY = Check(
    name="subset_not_empty",
    description="The subset has cells and genes: as many cells as were selected, each of them in the census index.",
)
PRIMARY_ONLY = Check(
    name="primary_cells_only",
    description="Where value_filter asks for primary cells, the census index calls every cell of the subset primary. "
    "Where it does not ask, it passes, and tells how many are not.",
)
NO_DUPLICATES = Check(
    name="no_duplicate_cells",
    description="No soma_joinid is in the subset twice, and no observation_joinid of one dataset, as the census index "
    "has them. The same cell in two datasets is no duplicate: is_primary_data tells those apart.",
    blocking=False,
)


def build_subset_checks(name: str, destination: str) -> dg.AssetChecksDefinition:
    """The checks of one filtered subset. They read its obs file and the index; of an index in S3 a copy is fetched.

    Args:
        name: Name of the subset.
        destination: URL of its store; empty for the default store.
    """
    key = filtered_subset_key(name)

    @dg.multi_asset_check(
        name=f"{name}_subset_checks",
        specs=[check.spec(key) for check in (NOT_EMPTY, PRIMARY_ONLY, NO_DUPLICATES)],
        can_subset=True,
    )
    def subset_checks(context: dg.AssetCheckExecutionContext, store: StoreResource) -> Iterator[dg.AssetCheckResult]:
        fingerprint = latest_data_version(context.instance, key)
        with as_failure():
            default, opened = store.locator().open(), store.locator(destination).open()
            subset = load_subset(opened, name, fingerprint)
            index = load_index(default, subset.release.version, subset.selection.organism)
            found = audit_subset(subset, name, opened, index, default)
        yield from results(
            key,
            [(NOT_EMPTY, found.contents), (PRIMARY_ONLY, found.primary), (NO_DUPLICATES, found.duplicates)],
            fingerprint,
            context.selected_asset_check_keys,
        )

    return subset_checks
