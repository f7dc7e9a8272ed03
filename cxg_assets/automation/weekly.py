"""A schedule for each subset: look for a new release and ingest, once a week."""

from collections.abc import Mapping, Sequence

import dagster as dg

from cxg_assets.automation.ingest_chain import SubsetJob
from cxg_assets.names import ingest_job_name, weekly_schedule_name

EARLY_SUNDAY = "0 3 * * 0"


def build_weekly_schedules(subsets: Sequence[str], jobs: Mapping[str, SubsetJob]) -> list[dg.ScheduleDefinition]:
    """A schedule that runs `<subset>_ingest` for each subset. They are off.

    Args:
        subsets: Names of the subsets.
        jobs: The jobs of the subsets, by name.
    """
    return [
        dg.ScheduleDefinition(
            name=weekly_schedule_name(subset),
            job=jobs[ingest_job_name(subset)],
            cron_schedule=EARLY_SUNDAY,
            default_status=dg.DefaultScheduleStatus.STOPPED,
            description=f"Looks which build of the Census is in use, makes what {subset} lacks of it, and publishes.",
        )
        for subset in subsets
    ]
