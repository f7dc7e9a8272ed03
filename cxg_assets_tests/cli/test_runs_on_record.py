"""How the UI shows what the command ran: on its timeline, as one chain, without tags that only programs read."""

from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import HIDDEN_TAG_PREFIX

from cxg_assets.automation.ingest_chain import build_ingest_chain
from cxg_assets.cli.project import dagster_instance
from cxg_assets.definitions import defs as project
from cxg_assets.instance.command_runs import LOCATION, REPOSITORY, is_of_command
from cxg_assets.names import INGEST_TAG
from cxg_assets_tests.cli.conftest import SUBSET

JOBS = [f"{SUBSET}_{part}" for part in ("ingest", "missing_chunks", "publish")]


def test_the_runs_of_an_ingest_are_of_the_code_location_and_of_one_chain(finished_home: Path) -> None:
    with dagster_instance() as instance:
        runs = sorted(instance.get_runs(), key=lambda run: JOBS.index(run.job_name))

    assert [run.job_name for run in runs] == JOBS
    for run in runs:
        assert run.remote_job_origin is not None
        repository = run.remote_job_origin.repository_origin
        assert repository.repository_name == REPOSITORY
        assert repository.code_location_origin.location_name == LOCATION
        shown = {name: value for name, value in run.tags.items() if not name.startswith(HIDDEN_TAG_PREFIX)}
        assert {name: value for name, value in shown.items() if not name.startswith("dagster/")} == {
            INGEST_TAG: runs[0].run_id
        }


def test_they_are_those_of_what_the_ui_serves() -> None:
    assert project.get_repository_def().name == REPOSITORY
    workspace = Path(__file__).parents[2] / "cxg_assets" / "cli" / "workspace.yaml"
    assert f"location_name: {LOCATION}\n" in workspace.read_text()


def test_the_sensor_of_chains_leaves_them_to_the_command(finished_home: Path) -> None:
    jobs = {name: project.resolve_job_def(name) for name in JOBS}
    sensor = build_ingest_chain([SUBSET], jobs)
    with dagster_instance() as instance:
        [first] = instance.get_runs(dg.RunsFilter(job_name=JOBS[0]))
        ended = instance.all_logs(first.run_id, of_type=dg.DagsterEventType.RUN_SUCCESS)[0].dagster_event
        assert ended is not None
        answer = sensor(dg.build_run_status_sensor_context("ingest_chain", ended, instance, first))

    assert is_of_command(first)
    assert isinstance(answer, dg.SkipReason)
