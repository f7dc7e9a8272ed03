"""How the UI shows what the command ran: on its timeline, as one chain, without tags that only programs read."""

import os
import tomllib
from pathlib import Path
from unittest import mock

import dagster as dg
import pytest
from dagster._core.storage.tags import HIDDEN_TAG_PREFIX
from dagster._core.workspace.load import location_origins_from_yaml_paths

from cxg_assets import settings
from cxg_assets.automation.ingest_chain import build_ingest_chain
from cxg_assets.cli.project import dagster_instance
from cxg_assets.cli.ui.command import LOCATION_VARIABLE, WORKSPACE
from cxg_assets.definitions import defs as project
from cxg_assets.instance.command_runs import REPOSITORY, execute_here, is_of_command
from cxg_assets.names import INGEST_TAG
from cxg_assets.project_folder import CODE_LOCATION
from cxg_assets_tests.cli.command import cxg_assets
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
        assert repository.code_location_origin.location_name == CODE_LOCATION
        shown = {name: value for name, value in run.tags.items() if not name.startswith(HIDDEN_TAG_PREFIX)}
        assert {name: value for name, value in shown.items() if not name.startswith("dagster/")} == {
            INGEST_TAG: runs[0].run_id
        }


def test_they_are_those_of_what_the_ui_serves() -> None:
    assert project.get_repository_def().name == REPOSITORY
    assert names_of(Path(__file__).parents[2]) == {CODE_LOCATION}


def test_in_a_project_of_ones_own_they_are_of_the_code_location_that_dagster_shows_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CXG_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert cxg_assets("init", "my-slices").exit_code == 0
    monkeypatch.chdir("my-slices/my_slices")

    @dg.job
    def nothing() -> None: ...

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        result = execute_here(dg.Definitions(jobs=[nothing]), "nothing", instance, {})
        run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.remote_job_origin is not None
    location = run.remote_job_origin.repository_origin.code_location_origin.location_name
    assert {location} == names_of(tmp_path / "my-slices") == {"my_slices"}


def names_of(project: Path) -> set[str]:
    """What the code location of a project is called by `dagster dev`, by `dg dev` and by `cxg-assets ui`."""
    with mock.patch.dict(os.environ, {LOCATION_VARIABLE: settings.code_location()}):
        files = [str(file) for file in (project / "workspace.yaml", WORKSPACE)]
        names = {origin.location_name for file in files for origin in location_origins_from_yaml_paths([file])}
    tool = tomllib.loads((project / "pyproject.toml").read_text())["tool"]
    return names | {tool["dagster"]["code_location_name"], tool["dg"]["project"]["code_location_name"]}


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
