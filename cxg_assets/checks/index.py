"""The check of a census index: it has the rows that the Census counts."""

from collections.abc import Iterator

import dagster as dg

from cxg_assets.checks.check import Check, results
from cxg_assets.ingest.census.census import keep_open
from cxg_assets.ingest.selection.index import load_index
from cxg_assets.ingest.verify.audit import audit_index
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.names import census_index_key
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource

ROW_COUNT = Check(
    name="row_count_equals_census",
    description="The index has as many rows as the Census itself counts cells of the organism, and its file has the "
    "size that was written. Reads counts only, no rows.",
)


def build_index_check(organism: str) -> dg.AssetChecksDefinition:
    """The check of one organism's index.

    Args:
        organism: As the Census spells it.
    """
    key = census_index_key(organism)

    @dg.multi_asset_check(name=f"{organism}_index_checks", specs=[ROW_COUNT.spec(key)])
    def index_checks(
        context: dg.AssetCheckExecutionContext, census: CensusResource, store: StoreResource
    ) -> Iterator[dg.AssetCheckResult]:
        version = latest_data_version(context.instance, key)
        with as_failure(), keep_open():
            opened = store.locator().open()
            index = load_index(opened, version, organism)
            audit = audit_index(index, opened, census.locator(index.release))
        yield from results(key, [(ROW_COUNT, audit)], version)

    return index_checks
