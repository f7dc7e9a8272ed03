"""When each check of the table looks, and at what: the finding functions are the engine's, in `ingest/verify`."""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from cxg_assets.ingest.census.census import CensusLocator, keep_open
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.dataset.estimate import estimate
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.finding import Fact, Finding
from cxg_assets.ingest.plan.chunk_plan import load_plan
from cxg_assets.ingest.plan.preflight import check_subset
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.selection.index import load_index, make_index
from cxg_assets.ingest.selection.subset import load_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.dataset import verify_published
from cxg_assets.ingest.verify.plan import verify_plan
from cxg_assets.ingest.verify.release import verify_release
from cxg_assets.ingest.verify.selection import verify_index, verify_subset
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.instance.step_failures import as_failure
from cxg_assets.names import CENSUS_RELEASE, census_index_key, chunk_plan_key, dataset_key, filtered_subset_key
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource
from cxg_assets.ui.checks import (
    ESTIMATE_CHECKS,
    INDEX_CHECKS,
    PLAN_CHECKS,
    PUBLISHED_CHECKS,
    RELEASE_CHECKS,
    SUBSET_CHECKS,
    Check,
    results,
)
from cxg_assets.ui.metadata import release_from

Context = dg.AssetCheckExecutionContext
Found = tuple[str, Sequence[Finding]]
"""The data version of an asset that was looked at, the latest, and what each of its checks finds."""


def build_release_check() -> dg.AssetChecksDefinition:
    """The check of `census_release`."""

    def find(context: Context, census: CensusResource, store: StoreResource) -> Found:
        records = context.instance.fetch_observations(CENSUS_RELEASE, limit=1).records
        observation = records[0].asset_observation if records else None
        release = None if observation is None else release_from(observation.metadata)
        if release is None:
            raise dg.Failure("census_release was never observed; observe it first", allow_retries=False)
        is_fresh = records[0].run_id == context.run.run_id
        return release.version, [verify_release(release, is_public=bool(census.asked_version), is_fresh=is_fresh)]

    return _checks("census_release_checks", CENSUS_RELEASE, RELEASE_CHECKS, find)


def build_index_check(experiment: str) -> dg.AssetChecksDefinition:
    """The check of one experiment's index."""
    key = census_index_key(experiment)

    def find(context: Context, census: CensusResource, store: StoreResource) -> Found:
        version = latest_data_version(context.instance, key)
        opened = store.locator().open()
        index = load_index(opened, version, experiment)
        return version, [verify_index(index, opened, census.locator(index.release))]

    return _checks(f"{experiment}_index_checks", key, INDEX_CHECKS, find)


def build_subset_checks(spec: SubsetSpec, destination: str) -> list[dg.AssetChecksDefinition]:
    """The checks of a subset: of what it would be, of its cells, of its plan, and of what is published of it.

    Args:
        spec: The subset.
        destination: URL of its store; empty for the default store.
    """
    name = spec.name
    subset_key, plan_key = filtered_subset_key(name), chunk_plan_key(name)

    def find_in_subset(context: Context, census: CensusResource, store: StoreResource) -> Found:
        fingerprint = latest_data_version(context.instance, subset_key)
        default, opened = store.locator().open(), store.locator(destination).open()
        subset = load_subset(opened, name, fingerprint)
        index = load_index(default, subset.release.version, subset.selection.experiment)
        return fingerprint, verify_subset(subset, name, opened, index, default)

    def find_estimate(context: Context, census: CensusResource, store: StoreResource) -> Found:
        release, default = census.release(), store.locator().open()
        return release.version, [_estimate(spec, release, default, census.locator(release))]

    def find_in_plan(context: Context, census: CensusResource, store: StoreResource) -> Found:
        plan_id = latest_data_version(context.instance, plan_key)
        opened = store.locator(destination).open()
        return plan_id, [verify_plan(load_plan(opened, name, plan_id), opened)]

    def find_published(context: Context, census: CensusResource, store: StoreResource) -> Found:
        plan_id, finding = verify_published(store.locator(destination).open(), name)
        return plan_id, [finding]

    return [
        _checks(f"{name}_subset_checks", subset_key, SUBSET_CHECKS, find_in_subset),
        _checks(f"{name}_estimate", subset_key, ESTIMATE_CHECKS, find_estimate),
        _checks(f"{name}_plan_checks", plan_key, PLAN_CHECKS, find_in_plan),
        _checks(f"{name}_published_checks", dataset_key(name), PUBLISHED_CHECKS, find_published),
    ]


def _estimate(spec: SubsetSpec, release: Release, index_store: Store, census: CensusLocator) -> Finding:
    """What a subset would be, or why it would be none."""
    try:
        check_subset(spec, census)
        found = estimate(spec, make_index(census, release, spec.experiment, index_store), index_store, census)
    except CxgError as error:
        return Finding.failed("subset", error)
    facts: dict[str, Fact] = {
        "n_obs": found.n_obs,
        "n_vars": found.n_vars,
        **{f"n_{name}": number for name, number in found.n_distinct.items()},
        "parts": [f"{part}: {counted(n_obs, 'cell')}" for part, n_obs in found.parts.items()],
        "n_files": found.n_files,
        "n_bytes": found.n_bytes,
        "worker_minutes": round(found.worker_seconds / 60, 2),
        "cpu_seconds": found.cpu_seconds,
        "bytes_read": found.bytes_read,
        "read_requests": found.read_requests,
        "write_requests": found.write_requests,
    }
    return Finding(where="subset", what=f"{spec.name} would be {counted(found.n_obs, 'cell')}", facts=facts)


def _checks(
    name: str,
    asset: dg.AssetKey,
    checks: Sequence[Check],
    find: Callable[[Context, CensusResource, StoreResource], Found],
) -> dg.AssetChecksDefinition:
    """The definition of an asset's checks, which look together."""

    @dg.multi_asset_check(name=name, specs=[check.spec(asset) for check in checks], can_subset=True)
    def run_checks(context: Context, census: CensusResource, store: StoreResource) -> Iterator[dg.AssetCheckResult]:
        with as_failure(), keep_open():
            version, findings = find(context, census, store)
        yield from results(asset, checks, findings, version, context.selected_asset_check_keys)

    return run_checks
