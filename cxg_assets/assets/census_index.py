"""The census index: all obs metadata of one experiment, made once a release and shared by its subsets."""

from typing import Any

import dagster as dg

from cxg_assets.ingest.census.census import keep_open
from cxg_assets.ingest.layout import index_path
from cxg_assets.ingest.selection.index import make_index
from cxg_assets.ingest.verify.release import verify_release
from cxg_assets.instance.provenance import made_from_tags, observed_release, release_observation
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.names import ASSET_LOADER, CENSUS_GROUP, CENSUS_POOL, CENSUS_RELEASE, census_index_key
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource
from cxg_assets.ui.checks import NOT_RETRACTED
from cxg_assets.ui.metadata import index_metadata


def build_census_index(experiment: str) -> dg.AssetsDefinition:
    """The index asset of one experiment."""

    @dg.asset(
        key=census_index_key(experiment),
        deps=[CENSUS_RELEASE],
        group_name=CENSUS_GROUP,
        io_manager_key=ASSET_LOADER,
        kinds={"tiledb", "arrow"},
        pool=CENSUS_POOL,
        description=(
            f"obs of all `{experiment}` cells of the observed release, every column, as one Arrow IPC (feather) file "
            "in the default store. Built once per release and shared by all subsets, which filter it instead of the "
            "Census. Checks which build is in use, and is reused if it exists."
        ),
    )
    def census_index(
        context: dg.AssetExecutionContext, census: CensusResource, store: StoreResource
    ) -> dg.MaterializeResult:
        with as_failure(), keep_open():
            release = observed_release(context.instance, census.asked, context.run.run_id)
            if release is None:
                # Nobody has looked in this run: the UI leaves out what is observed when it materializes a whole job.
                release = census.release()
                context.log_event(release_observation(release))
                # A retracted one would have been refused.
                finding = verify_release(release, is_public=bool(census.asked_version), is_fresh=True)
                checked: Any = NOT_RETRACTED.evaluation(CENSUS_RELEASE, finding, release.version)
                context.log_event(checked)  # Dagster takes it, though its type does not say so
            opened = store.locator().open()
            index = make_index(census.locator(release), release, experiment, opened)
            # At the index's own time, as its check reads it: it may have been made long before.
            with census.locator(index.release).open() as as_indexed:
                schema = as_indexed.obs(experiment).schema
        return dg.MaterializeResult(
            data_version=dg.DataVersion(release.version),
            tags=made_from_tags(release),
            metadata=index_metadata(index, opened.uri(index_path(release.version, experiment)), schema),
        )

    return census_index
