"""What an asset was made from: data versions, which are also names in the store, and what their checks have found."""

from collections.abc import Mapping

import dagster as dg
from dagster import DagsterInstance
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan, PlanHeader, load_plan
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.storage.store import Store
from cxg_assets.names import CENSUS_RELEASE, census_index_key, chunk_plan_key, filtered_subset_key, ingest_job_name
from cxg_assets.ui.checks import (
    CHECKED_VERSION,
    COVERS_SUBSET,
    NOT_EMPTY,
    NOT_RETRACTED,
    PRIMARY_ONLY,
    ROW_COUNT,
    WRONG,
)
from cxg_assets.ui.metadata import release_from, release_metadata

N_EVALUATIONS = 1_000
"""How many evaluations of a check are looked through, newest first."""

_EVALUATED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}

DATA_VERSION_TAG = "dagster/data_version"
IS_USER_PROVIDED_TAG = "dagster/data_version_is_user_provided"
CODE_VERSION_TAG = "dagster/code_version"
INPUT_VERSION_TAG = "dagster/input_data_version/"
POINTER_TAG = "dagster/input_event_pointer/"
"""Both followed by the upstream asset."""


def latest_materialization(instance: DagsterInstance, key: dg.AssetKey) -> dg.AssetMaterialization | None:
    """What was recorded of an asset last; None if it was never materialized."""
    event = instance.get_latest_materialization_event(key)
    return None if event is None else event.asset_materialization


def version_on_record(instance: DagsterInstance, key: dg.AssetKey) -> str | None:
    """Data version of an asset's latest materialization; None if it was never materialized."""
    made = latest_materialization(instance, key)
    return None if made is None else (made.tags or {}).get(DATA_VERSION_TAG)


def latest_data_version(instance: DagsterInstance, key: dg.AssetKey) -> str:
    """As `version_on_record`, but raises a `Failure` where there is none."""
    version = version_on_record(instance, key)
    if version is None:
        raise dg.Failure(f"{key.to_user_string()} was never materialized; materialize it first", allow_retries=False)
    return version


def current_plan(subset: str, store: Store, instance: DagsterInstance | None) -> ChunkPlan | None:
    """The plan of a subset that is on record; without an instance that knows of one, the one that is published.

    Raises:
        CxgError: The plan or dataset.json cannot be read.
    """
    plan_id = None if instance is None else version_on_record(instance, chunk_plan_key(subset))
    try:
        return load_plan(store, subset, plan_id or read_dataset(store, subset).header.plan_id)
    except FileNotFoundError:
        return None


def observed_release(instance: DagsterInstance, asked: str, run_id: str = "") -> Release | None:
    """The release that was observed last, if it was asked for by this name (and in this run)."""
    records = instance.fetch_observations(CENSUS_RELEASE, limit=1).records
    event = records[0].asset_observation if records else None
    if event is None or run_id not in ("", records[0].run_id):
        return None
    release = release_from(event.metadata)
    return release if release is not None and release.name == asked else None


def release_observation(release: Release) -> dg.AssetObservation:
    """The event by which a step tells that it looked for itself which build it is."""
    return dg.AssetObservation(
        CENSUS_RELEASE,
        metadata=release_metadata(release),
        tags={DATA_VERSION_TAG: release.version, IS_USER_PROVIDED_TAG: "true"},
    )


def made_from_tags(release: Release, upstream: Mapping[dg.AssetKey, str] | None = None) -> dict[str, str]:
    """The tags that say what an asset was made from.

    Dagster would put what is the latest when it records: the release that was observed last may be newer than the
    index that a subset is made from, and a plan may be made again while files of the one before are.

    Args:
        release: The release.
        upstream: Data version of what else was read, by asset.
    """
    versions = {CENSUS_RELEASE: release.version, **(upstream or {})}
    return {f"{INPUT_VERSION_TAG}{key.to_user_string()}": version for key, version in versions.items()}


def provenance_tags(
    instance: DagsterInstance, spec: dg.AssetSpec, release: Release, upstream: Mapping[dg.AssetKey, str]
) -> dict[str, str]:
    """The tags by which Dagster tells whether a logged materialization is stale.

    Dagster sets them itself for an asset's own output, not for events that a step logs. Valid for upstream assets
    without partitions. Call it once, before the work: it says what the work was based on.

    Args:
        instance: Where the upstream materializations are.
        spec: The asset that is logged; its code_version and deps count.
        release: As for `made_from_tags`.
        upstream: As for `made_from_tags`.
    """
    tags = {IS_USER_PROVIDED_TAG: "true"}
    if spec.code_version is not None:
        tags[CODE_VERSION_TAG] = spec.code_version
    for dep in spec.deps:
        records = instance.fetch_materializations(dep.asset_key, limit=1).records
        event = records[0].asset_materialization if records else None
        version = (event.tags or {}).get(DATA_VERSION_TAG, "INITIAL") if event is not None else "INITIAL"
        name = dep.asset_key.to_user_string()
        tags[f"{INPUT_VERSION_TAG}{name}"] = version
        tags[f"{POINTER_TAG}{name}"] = str(records[0].storage_id) if records else "NULL"
    return tags | made_from_tags(release, upstream)


def require_upstream_passed(instance: DagsterInstance, header: PlanHeader) -> None:
    """Makes sure that the blocking checks of what a plan was made from have passed.

    Raises:
        Failure: One has failed, or has not checked this release, subset or plan; the message names it.
    """
    name, version = header.subset.name, header.subset.release.version
    advice = f"run the job {ingest_job_name(name)}, or execute the check"
    for check, asset, wanted in (
        (ROW_COUNT, census_index_key(header.subset.selection.experiment), version),
        (NOT_EMPTY, filtered_subset_key(name), header.subset.fingerprint),
        (PRIMARY_ONLY, filtered_subset_key(name), header.subset.fingerprint),
        (COVERS_SUBSET, chunk_plan_key(name), header.plan_id),
        (NOT_RETRACTED, CENSUS_RELEASE, version),
    ):
        found, told = _evaluation(instance, check.key(asset), wanted), f"check {check.name} of {asset.to_user_string()}"
        # Whoever makes an index without observing the release has just looked it up; that refuses retracted ones.
        if found is None and check is not NOT_RETRACTED:
            raise dg.Failure(f"{told} has not checked {wanted} yet; {advice}", allow_retries=False)
        if found is not None and not found.passed and found.severity is dg.AssetCheckSeverity.ERROR:
            wrong = found.metadata.get(WRONG)
            reason = "it failed" if wrong is None else wrong.value
            raise dg.Failure(f"{told} failed: {reason}. When that is done, {advice}", allow_retries=False)


def _evaluation(instance: DagsterInstance, key: dg.AssetCheckKey, version: str) -> dg.AssetCheckEvaluation | None:
    """The latest evaluation of a check that looked at one version of its asset."""
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=N_EVALUATIONS, status=_EVALUATED)
    for record in history:
        evaluation = record.evaluation
        checked = None if evaluation is None else evaluation.metadata.get(CHECKED_VERSION)
        if checked is not None and checked.value == version:
            return evaluation
    return None
