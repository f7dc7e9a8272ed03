"""One click: the runs that follow when a subset's ingest has begun.

Dagster cannot have the plan, the chunks of that plan and the dataset in one run: partitions that a run adds are not its
own, and what is downstream of a step that records its partitions itself is skipped. So they are three runs, and this
sensor asks for the next one when one has succeeded. A run that fails ends the chain; re-executed from the UI it keeps
its tags, and the chain goes on when it succeeds. What the command runs in its own process is listed with its chain too,
and is left to the command.
"""

from collections.abc import Mapping, Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from cxg_assets.instance.command_runs import is_of_command
from cxg_assets.names import INGEST_TAG, ingest_job_name, missing_chunks_job_name, publish_job_name

CHAIN_SECONDS = 10
"""How long the daemon may leave a run that has succeeded without the next one."""

SubsetJob = dg.JobDefinition | UnresolvedAssetJobDefinition


def build_ingest_chain(subsets: Sequence[str], jobs: Mapping[str, SubsetJob]) -> dg.SensorDefinition:
    """The sensor that leads from `<subset>_ingest` over `<subset>_missing_chunks` to `<subset>_publish`. It is on.

    Args:
        subsets: Their names.
        jobs: Their jobs, by name.
    """
    begins = {ingest_job_name(subset): missing_chunks_job_name(subset) for subset in subsets}
    ends = {missing_chunks_job_name(subset): publish_job_name(subset) for subset in subsets}
    following = begins | ends

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[jobs[name] for name in following],
        request_jobs=[jobs[name] for name in following.values()],
        minimum_interval_seconds=CHAIN_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="When a run of <subset>_ingest has succeeded, requests <subset>_missing_chunks, and when that has "
        f"succeeded, <subset>_publish. The runs of a chain have the same tag {INGEST_TAG}. "
        "Off: <subset>_ingest ends with the plan.",
    )
    def ingest_chain(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        run = context.dagster_run
        if is_of_command(run):
            return dg.SkipReason(f"run {run.run_id} of {run.job_name} is the command's, which goes on by itself")
        first = run.tags.get(INGEST_TAG, run.run_id)
        if run.job_name in begins:
            context.instance.add_run_tags(run.run_id, {INGEST_TAG: first})
        elif INGEST_TAG not in run.tags:
            return dg.SkipReason(f"run {run.run_id} of {run.job_name} is of no chain")
        # The key is of the run that has succeeded: one request for it, whatever happens to the daemon.
        return dg.RunRequest(run_key=run.run_id, job_name=following[run.job_name], tags={INGEST_TAG: first})

    return ingest_chain
