"""What Dagster asks for by itself: sensors, schedules and the switch of the automation conditions."""

import dagster as dg

from cxg_assets.automation.changed_subsets import build_changed_subsets
from cxg_assets.automation.ingest_chain import SubsetJob, build_ingest_chain
from cxg_assets.automation.weekly import build_weekly_schedules
from cxg_assets.instance.dead_runs import report_killed_runs
from cxg_assets.names import chunk_plan_key, dataset_key, filtered_subset_key

FLOW_THROUGH = "flow_through"

LOOK_SECONDS = 30


@dg.sensor(
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs as failed whose process was on the machine of this code server and is gone. They keep "
    "their place in the pool `census` until then.",
)
def killed_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Reports what was found as the reason for asking for nothing."""
    found = report_killed_runs(context.instance)
    return dg.SkipReason(f"marked as failed: {', '.join(found)}" if found else "no run was killed")


def build_automation(subsets: dg.Definitions) -> dg.Definitions:
    """The sensors and schedules over some subsets. On are those without which runs would be left lying.

    Args:
        subsets: Their assets and jobs.
    """
    code_versions: dict[dg.AssetKey, str] = {}
    for asset in subsets.assets or ():
        if isinstance(asset, dg.AssetsDefinition):
            code_versions |= {spec.key: spec.code_version or "" for spec in asset.specs}
    names = sorted(key.path[0] for key in code_versions if key == dataset_key(key.path[0]))
    jobs: dict[str, SubsetJob] = {job.name: job for job in subsets.jobs or ()}
    if not names:
        return dg.Definitions(sensors=[killed_runs])
    of_the_yaml = {
        name: (code_versions[filtered_subset_key(name)], code_versions[chunk_plan_key(name)]) for name in names
    }
    flow_through = dg.AutomationConditionSensorDefinition(
        FLOW_THROUGH,
        target=dg.AssetSelection.all(include_sources=True),
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=30,
        description="Makes what a new release, filter or plan has made out of date, asset by asset, down to the "
        "published dataset; the release is looked at daily. After an edit of a YAML: Reload definitions. Needs neither "
        "changed_subsets nor a weekly schedule; leave those off.",
    )
    return dg.Definitions(
        sensors=[
            build_ingest_chain(names, jobs),
            build_changed_subsets(of_the_yaml, jobs),
            flow_through,
            killed_runs,
        ],
        schedules=build_weekly_schedules(names, jobs),
    )
