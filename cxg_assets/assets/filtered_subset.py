"""The filtered subset: which cells and genes of the release a subset has."""

import dagster as dg

from cxg_assets.ingest.census.census import keep_open
from cxg_assets.ingest.layout import subset_obs_path
from cxg_assets.ingest.plan.preflight import check_subset
from cxg_assets.ingest.selection.index import load_index
from cxg_assets.ingest.selection.subset import make_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.probe import probe
from cxg_assets.instance.provenance import latest_data_version, made_from_tags
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.names import ASSET_LOADER, CENSUS_RELEASE, DESTINATION, census_index_key, filtered_subset_key
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource
from cxg_assets.ui.metadata import subset_metadata


def build_filtered_subset(spec: SubsetSpec, destination: str, code_version: str) -> dg.AssetsDefinition:
    """The subset asset; its code version changes with what the YAML says of cells and genes."""

    @dg.asset(
        key=filtered_subset_key(spec.name),
        deps=[census_index_key(spec.experiment), CENSUS_RELEASE],
        group_name=spec.name,
        io_manager_key=ASSET_LOADER,
        metadata={DESTINATION: destination} if destination else {},
        kinds={"arrow"},
        code_version=code_version,
    )
    def filtered_subset(
        context: dg.AssetExecutionContext, census: CensusResource, store: StoreResource
    ) -> dg.MaterializeResult:
        version = latest_data_version(context.instance, census_index_key(spec.experiment))
        with as_failure(), keep_open():
            default, opened = store.locator().open(), probe(store.locator(destination)).open()
            index = load_index(default, version, spec.experiment)
            locator = census.locator(index.release)
            check_subset(spec, locator)
            warnings: list[str] = []
            subset = make_subset(spec, index, default, locator, opened, warnings.append)
            path = subset_obs_path(spec.name, subset.fingerprint)
            n_bytes = opened.sizes(path.rpartition("/")[0])[path]
            with locator.open() as opened_census:
                schema = opened_census.obs(spec.experiment).schema
        for warning in warnings:
            context.log.warning(warning)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(subset.fingerprint),
            tags=made_from_tags(subset.release, {census_index_key(spec.experiment): version}),
            metadata=subset_metadata(subset, opened.uri(path), n_bytes, schema, warnings),
        )

    return filtered_subset
