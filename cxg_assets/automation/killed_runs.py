"""Looks for runs whose process was killed, so that they neither show as running nor keep others waiting."""

import dagster as dg

from cxg_assets.instance.dead_runs import report_killed_runs

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
