"""The dataset: published when every chunk of the plan is stored."""

from collections.abc import Iterator

import dagster as dg

from cxg_assets.ingest.census.census import keep_open
from cxg_assets.ingest.compare.changes import ReleaseChanges
from cxg_assets.ingest.dataset.estimate import estimate_planned
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.dataset.since_release import changes_since_published
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.plan.chunk_plan import load_plan
from cxg_assets.ingest.plan.plan_mark import marked
from cxg_assets.ingest.plan.stored import stored_sizes
from cxg_assets.ingest.selection.subset import Subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.chunks import verify_chunks
from cxg_assets.instance.partitions import chunk_record
from cxg_assets.instance.provenance import latest_data_version, made_from_tags, require_upstream_passed
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.names import (
    ASSET_LOADER,
    CENSUS_RELEASE,
    DESTINATION,
    chunk_plan_key,
    dataset_key,
    h5ad_chunks_key,
)
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource
from cxg_assets.ui.checks import GATE, results
from cxg_assets.ui.dataset_page import dataset_metadata, estimate_metadata, label_pictures
from cxg_assets.ui.metadata import costs_metadata
from cxg_assets.ui.pictures import drawn, file_pictures
from cxg_assets.ui.release_changes import release_changes_metadata


def build_dataset(spec: SubsetSpec, destination: str) -> dg.AssetsDefinition:
    """The dataset asset.

    Args:
        spec: The subset.
        destination: URL of its store; empty for the default store.
    """
    subset = spec.name

    @dg.asset(
        key=dataset_key(subset),
        check_specs=[check.spec(dataset_key(subset)) for check in GATE],
        # chunk_plan as well: beyond 100 partitions Dagster does not look at those for staleness.
        deps=[h5ad_chunks_key(subset), chunk_plan_key(subset), CENSUS_RELEASE],
        group_name=subset,
        io_manager_key=ASSET_LOADER,
        metadata={DESTINATION: destination} if destination else {},
        kinds={spec.format},
    )
    def dataset(
        context: dg.AssetExecutionContext, census: CensusResource, store: StoreResource
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        plan_id = latest_data_version(context.instance, chunk_plan_key(subset))
        with as_failure(), marked(store.locator(destination), subset, plan_id, context.run_id, "publishes"):
            opened = store.locator(destination).open()
            plan = load_plan(opened, subset, plan_id)
            reports = list(chunk_record(context.instance, plan, opened).reports.values())
            sizes, locator = stored_sizes(opened, plan), census.locator(plan.header.subset.release)
            require_upstream_passed(context.instance, plan.header)
            with keep_open():
                findings = verify_chunks(plan, reports, sizes, opened, locator)
            # Whatever launched this step: nothing is published before these have passed.
            yield from results(dataset_key(subset), GATE, findings, plan_id)
            since = _since_release(context, spec, plan.header.subset, census, opened, store.locator().open())
            published = publish(opened, plan, reports, locator, sizes, since)
            pictures = drawn(context.log, lambda: label_pictures(opened, published))
            diagnostics = drawn(context.log, lambda: file_pictures(plan, reports))
            first = opened.uri(plan.header.path(plan.chunks[0]))
            estimated = drawn(
                context.log,
                lambda: estimate_metadata(
                    estimate_planned(plan, spec, store.locator().open(), opened, locator), plan, reports
                ),
            )
            diagnostics = release_changes_metadata(since) | costs_metadata(reports) | estimated | diagnostics
            metadata = dataset_metadata(opened, published, first, pictures, diagnostics)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(plan_id),
            tags=made_from_tags(plan.header.subset.release, {chunk_plan_key(subset): plan_id}),
            metadata=metadata,
        )

    return dataset


def _since_release(
    context: dg.AssetExecutionContext,
    spec: SubsetSpec,
    subset: Subset,
    census: CensusResource,
    destination: Store,
    index_store: Store,
) -> ReleaseChanges | None:
    """What is other since the release of the dataset before; why it is not known does not keep one from publishing."""
    try:
        return changes_since_published(spec, subset, census.locator, destination, index_store)
    except (CxgError, OSError, ValueError) as error:  # also of a damaged index
        context.log.warning(f"not compared with the release before: {error}; cxg-assets diff {spec.name} compares them")
        return None
