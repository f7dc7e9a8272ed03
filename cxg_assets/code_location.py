"""What is added to subsets to make a code location: the census assets that they share, and the resources."""

import dagster as dg
from dagster_aws.s3 import S3Resource

from cxg_assets.assets.census_index import build_census_index
from cxg_assets.assets.census_release import build_census_release
from cxg_assets.automation import build_automation
from cxg_assets.automation.conditions import follows, observed_daily, with_conditions, with_freshness
from cxg_assets.automation.new_release import build_release_watch
from cxg_assets.checks.check import build_index_check, build_release_check
from cxg_assets.components import known_previews
from cxg_assets.io_managers import AssetLoader
from cxg_assets.names import ASSET_LOADER, CENSUS_RELEASE, census_index_key
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.executors import build_executor
from cxg_assets.resources.store import StoreResource


@known_previews()
def complete(
    subsets: dg.Definitions,
    *,
    census: CensusResource | None = None,
    store: StoreResource | None = None,
    workers: int = 0,
    pool: str = "",
) -> dg.Definitions:
    """Adds what subsets share: the release, an index for each organism in use, and the resources.

    Args:
        subsets: Definitions of one or more subsets.
        census: Which Census; None goes by the environment.
        store: The default store and S3 settings; None goes by the environment.
        workers: Worker processes; 0 is one for each CPU.
        pool: `ray` or `local`; empty goes by the environment.
    """
    assets = [asset for asset in subsets.assets or () if isinstance(asset, dg.AssetsDefinition)]
    used = {dep.asset_key for asset in assets for spec in asset.specs for dep in spec.deps}
    indexes = sorted(key for key in used if key == census_index_key(key.path[0]))
    default_store = store or StoreResource(s3=S3Resource())
    shared = dg.Definitions(
        assets=[
            build_census_release(observed_daily()),
            *dg.with_source_code_references(
                with_conditions(
                    (with_freshness(build_census_index(key.path[0])) for key in indexes),
                    dict.fromkeys(indexes, follows(CENSUS_RELEASE)),
                )
            ),
        ],
        asset_checks=[build_release_check(), *(build_index_check(key.path[0]) for key in indexes)],
        resources={
            "census": census or CensusResource(),
            "store": default_store,
            ASSET_LOADER: AssetLoader(store=default_store),
            "executor": build_executor(pool, workers),
        },
        executor=dg.in_process_executor,
    )
    definitions = dg.Definitions.merge(subsets, shared, build_release_watch(indexes), build_automation(subsets))
    # Dagster makes more of it, and warns again, when it is looked at for the first time: here and not at the user's.
    definitions.resolve_asset_graph()
    return definitions
