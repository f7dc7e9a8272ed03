"""Watches the release directory of the public Census."""

from collections.abc import Sequence

import dagster as dg

from cxg_assets.instance.provenance import observed_release
from cxg_assets.names import CENSUS_RELEASE
from cxg_assets.resources.census import CensusResource

NEW_RELEASE_JOB = "index_new_release"

WATCH_SECONDS = 3600
"""A release comes every few months, a weekly build every week."""


def build_release_watch(indexes: Sequence[dg.AssetKey]) -> dg.Definitions:
    """The sensor that asks for the indexes of a new release, and the job that makes them. The sensor is off."""
    job = dg.define_asset_job(
        NEW_RELEASE_JOB,
        [CENSUS_RELEASE, *indexes],
        description="Checks which build of the Census is in use, and builds its indexes.",
        executor_def=dg.in_process_executor,
    )

    @dg.sensor(
        job=job,
        minimum_interval_seconds=WATCH_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Asks for new indexes when the release name in use leads to another build of the Census.",
    )
    def new_census_release(
        context: dg.SensorEvaluationContext, census: CensusResource
    ) -> dg.RunRequest | dg.SkipReason:
        if not census.asked_version:
            return dg.SkipReason(f"the Census in use is {census.asked}, which is not a release of the public Census")
        address = census.look_up()
        observed = observed_release(context.instance, census.asked)
        if observed is not None and (observed.build, observed.uri) == (address.build, address.uri):
            return dg.SkipReason(f"{address.name} is build {address.build} as before")
        # One request for each build, however often the sensor looks until the run has observed it.
        return dg.RunRequest(run_key=f"{address.build} {address.uri}")

    return dg.Definitions(jobs=[job], sensors=[new_census_release])
