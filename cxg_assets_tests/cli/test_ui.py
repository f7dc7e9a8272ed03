"""`cxg-assets ui`: what it starts. The UI itself is tested in `e2e/`."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import pytest
import yaml
from dagster import DagsterInstance

from cxg_assets.cli.ui import OTHER_COMMAND, WORKSPACE
from cxg_assets_tests.cli.command import cxg_assets


class Started(Exception):
    """Stands where this process would have become the UI."""

    def __init__(self, program: str, command: list[str], environment: dict[str, str]) -> None:
        super().__init__(program)
        self.program = program
        self.command = command
        self.environment = environment


@pytest.fixture
def started(home: Path, monkeypatch: pytest.MonkeyPatch) -> Started:
    """What `cxg-assets ui --port 3210` starts, caught at the system call that would end this test run."""

    def execve(program: str, command: list[str], environment: dict[str, str]) -> NoReturn:
        raise Started(program, command, environment)

    monkeypatch.setattr(os, "execve", execve)
    with pytest.raises(Started) as caught:
        cxg_assets("ui", "--port", "3210")
    return caught.value


def test_it_serves_this_project_on_this_machine_only(started: Started) -> None:
    assert started.program == sys.executable
    assert started.command == [
        sys.executable, "-m", "dagster", "dev", "-w", str(WORKSPACE), "-h", "127.0.0.1", "-p", "3210",
    ]  # fmt: skip
    assert WORKSPACE.read_text() == (Path(__file__).parents[2] / "workspace.yaml").read_text()


def test_the_ui_has_the_instance_and_the_home_of_the_command(started: Started, home: Path) -> None:
    assert started.environment["DAGSTER_HOME"] == str(home / "dagster")
    assert started.environment["CXG_HOME"] == str(home)
    assert started.environment["PATH"] == os.environ["PATH"]


def test_of_the_warnings_of_dagsters_processes_one_is_kept_back(started: Started) -> None:
    assert started.environment["PYTHONWARNINGS"] == f"ignore:{OTHER_COMMAND}"


def test_the_pool_has_its_limit_before_any_run_waits_for_it(started: Started, home: Path) -> None:
    with DagsterInstance.from_config(str(home / "dagster")) as instance:
        limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    assert limits == {"census": 2}


def test_the_instance_is_made_before_the_ui_starts_and_sends_no_telemetry(started: Started, home: Path) -> None:
    config = yaml.safe_load((home / "dagster" / "dagster.yaml").read_text())
    assert config["telemetry"] == {"enabled": False}
