"""Asks for the ingest of subsets that are not what their YAML and the observed release say."""

import json
from collections.abc import Mapping

import dagster as dg
from dagster import DagsterInstance

from cxg_assets.automation.ingest_chain import SubsetJob
from cxg_assets.ingest.quantities import counted
from cxg_assets.instance.provenance import CODE_VERSION_TAG, DATA_VERSION_TAG, INPUT_VERSION_TAG
from cxg_assets.names import CENSUS_RELEASE, chunk_plan_key, filtered_subset_key, ingest_job_name

LOOK_SECONDS = 60

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def build_changed_subsets(
    code_versions: Mapping[str, tuple[str, str]], jobs: Mapping[str, SubsetJob]
) -> dg.SensorDefinition:
    """The sensor that asks for `<subset>_ingest` of every subset that has changed, once for a change. It is off.

    Args:
        code_versions: By subset: those of `filtered_subset` and `chunk_plan`, which are digests of the YAML.
        jobs: The jobs of the subsets, by name.
    """

    @dg.sensor(
        jobs=[jobs[ingest_job_name(subset)] for subset in code_versions],
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Compares each subset's YAML, as it was when the definitions were loaded, and the release that "
        "was observed last with what its plan was made from, and asks for <subset>_ingest where they differ, once for "
        "a change. After an edit of a YAML: Reload definitions.",
    )
    def changed_subsets(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        instance = context.instance
        release = _observed_version(instance)
        asked: dict[str, str] = json.loads(context.cursor or "{}")
        requests: list[dg.RunRequest] = []
        for subset, versions in code_versions.items():
            made = _made_from(instance, subset)
            wanted = " ".join((*versions, release or made.rpartition(" ")[2]))
            if wanted == made:
                # Forgotten, so that the same change is one again after another.
                asked.pop(subset, None)
            elif asked.get(subset) != wanted and not _is_under_way(instance, subset):
                asked[subset] = wanted
                requests.append(dg.RunRequest(job_name=ingest_job_name(subset)))
        skip = None if requests else f"{counted(len(code_versions), 'subset')} as before, or asked for already"
        return dg.SensorResult(run_requests=requests, skip_reason=skip, cursor=json.dumps(asked))

    return changed_subsets


def _observed_version(instance: DagsterInstance) -> str:
    """Data version of the release that was observed last; empty when none was."""
    records = instance.fetch_observations(CENSUS_RELEASE, limit=1).records
    event = records[0].asset_observation if records else None
    return "" if event is None else event.tags.get(DATA_VERSION_TAG, "")


def _made_from(instance: DagsterInstance, subset: str) -> str:
    """Code versions and release that the latest subset and plan were made from, with blanks between."""
    found: list[Mapping[str, str]] = []
    for key in (filtered_subset_key(subset), chunk_plan_key(subset)):
        event = instance.get_latest_materialization_event(key)
        made = None if event is None else event.asset_materialization
        found.append({} if made is None else made.tags or {})
    release = found[1].get(f"{INPUT_VERSION_TAG}{CENSUS_RELEASE.to_user_string()}", "")
    return " ".join((*(tags.get(CODE_VERSION_TAG, "") for tags in found), release))


def _is_under_way(instance: DagsterInstance, subset: str) -> bool:
    """Whether somebody has asked for the ingest already, and the plan is not there yet."""
    filters = dg.RunsFilter(job_name=ingest_job_name(subset), statuses=_UNFINISHED)
    return instance.get_runs_count(filters) > 0
