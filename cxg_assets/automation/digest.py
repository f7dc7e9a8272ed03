"""What happened in a week, as text to be sent to people: by Slack, e-mail or whatever a project has."""

import time
from collections.abc import Iterator

import dagster as dg
from dagster import DagsterInstance

from cxg_assets.ingest.quantities import counted, size
from cxg_assets.names import CENSUS_RELEASE, dataset_key

WEEK = 7 * 24 * 3600.0
"""Seconds."""

LIMIT = 100
"""Events and runs that are looked at of each kind, newest first."""


def digest(instance: DagsterInstance, seconds: float = WEEK) -> str:
    """Datasets that were published and what changed in them, the release in use, and runs that failed.

    Args:
        instance: Where all of it is on record; `context.instance` in an op.
        seconds: How far back to look.
    """
    since = time.time() - seconds
    lines = [*_datasets(instance, since), *_release(instance, since), *_failures(instance, since)]
    return "\n".join(lines) or "Nothing was published, no other release was seen, and no run failed."


def _datasets(instance: DagsterInstance, since: float) -> Iterator[str]:
    keys = sorted(key for key in instance.get_asset_keys() if key == dataset_key(key.path[0]))
    for key in keys:
        wanted = dg.AssetRecordsFilter(asset_key=key, after_timestamp=since)
        records = instance.fetch_materializations(wanted, limit=1).records
        for record in records:
            assert record.asset_materialization is not None
            told = {name: item.value for name, item in record.asset_materialization.metadata.items()}
            n_obs, n_bytes = told.get("n_obs"), told.get("n_bytes")
            if isinstance(n_obs, int) and isinstance(n_bytes, int):
                yield f"{key.path[0]} was published: {counted(n_obs, 'cell')}, {size(n_bytes)}"
            yield from (f"  {line}" for line in str(told.get("changes", "")).splitlines() if line.startswith("- "))


def _release(instance: DagsterInstance, since: float) -> Iterator[str]:
    """The release, where another one was seen in that time than before it."""
    builds = [
        record.asset_observation.metadata["census_build"].value
        for record in instance.fetch_observations(CENSUS_RELEASE, limit=LIMIT).records
        if record.asset_observation is not None and record.timestamp >= since
    ]
    before = dg.AssetRecordsFilter(asset_key=CENSUS_RELEASE, before_timestamp=since)
    known = [
        record.asset_observation.metadata["census_build"].value
        for record in instance.fetch_observations(before, limit=1).records
        if record.asset_observation is not None
    ]
    if builds and builds[:1] != known:
        yield f"The Census is of build {builds[0]}" + (f" now; it was {known[0]}" if known else "")


def _failures(instance: DagsterInstance, since: float) -> Iterator[str]:
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])
    for record in instance.get_run_records(wanted, limit=LIMIT):
        if record.end_time is not None and record.end_time >= since:
            yield f"Failed: {record.dagster_run.job_name}, run {record.dagster_run.run_id}"
