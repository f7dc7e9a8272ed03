"""What Dagster does by itself: sensors, and the switch of the automation conditions."""

import dagster as dg

from cxg_assets.automation.ingest_chain import SubsetJob, build_ingest_chain
from cxg_assets.instance.dead_runs import report_killed_runs
from cxg_assets.names import dataset_key

KEEP_UP_TO_DATE = "keep_up_to_date"

LOOK_SECONDS = 30


@dg.sensor(
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs as failed whose process on the machine of this code server has ended. They keep "
    "their place in the pool `census` until then.",
)
def killed_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Reports what was found as the reason for asking for nothing."""
    found = report_killed_runs(context.instance)
    return dg.SkipReason(f"marked as failed: {', '.join(found)}" if found else "no run was killed")


def build_automation(subsets: dg.Definitions) -> dg.Definitions:
    """The sensors over some subsets. On are those without which runs would be left lying.

    Args:
        subsets: Their assets and jobs.
    """
    keys = [key for asset in subsets.assets or () if isinstance(asset, dg.AssetsDefinition) for key in asset.keys]
    names = sorted(key.path[0] for key in keys if key == dataset_key(key.path[0]))
    if not names:
        return dg.Definitions(sensors=[killed_runs])
    jobs: dict[str, SubsetJob] = {job.name: job for job in subsets.jobs or ()}
    keep_up_to_date = dg.AutomationConditionSensorDefinition(
        KEEP_UP_TO_DATE,
        target=dg.AssetSelection.all(include_sources=True),
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=LOOK_SECONDS,
        description="Updates what a new release or an edited YAML has made out of date, asset by asset, down to the "
        "published dataset. Checks the release once a day. After an edit of a YAML: Reload definitions.",
    )
    return dg.Definitions(sensors=[build_ingest_chain(names, jobs), keep_up_to_date, killed_runs])
