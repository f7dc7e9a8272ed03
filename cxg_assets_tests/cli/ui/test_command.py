"""`cxg-assets ui`: what it starts, and when it does not. The UI itself is tested in `e2e/`."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from dagster import DagsterInstance
from dagster._daemon.types import DaemonHeartbeat

from cxg_assets.cli.ui import command
from cxg_assets.cli.ui.command import HEARTBEAT_SECONDS, LOCATION_VARIABLE, OTHER_COMMAND, WORKSPACE
from cxg_assets_tests.cli.command import Outcome, cxg_assets
from cxg_assets_tests.servers.webserver import free_port


@dataclass(frozen=True)
class Started:
    """What the command would have run until it is asked to end."""

    command: Sequence[str]
    environment: Mapping[str, str]


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[Started]:
    """What `cxg-assets ui` starts, instead of starting it."""
    started: list[Started] = []

    def run_until_asked(command: Sequence[str], environment: Mapping[str, str]) -> None:
        started.append(Started(command, environment))

    monkeypatch.setattr(command, "run_until_asked", run_until_asked)
    return started


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def started(home: Path, starts: list[Started], port: int) -> Started:
    outcome = cxg_assets("ui", "--port", str(port))
    assert outcome.exit_code == 0, outcome.stderr
    [one] = starts
    return one


def refused(*arguments: str) -> str:
    """The line with which the command refuses."""
    outcome: Outcome = cxg_assets("ui", *arguments)
    assert outcome.exit_code == 2
    [line] = outcome.stderr.splitlines()
    return line


def test_it_serves_this_project_on_this_machine_only(started: Started, port: int) -> None:
    assert started.command == [
        sys.executable, "-m", "dagster", "dev", "-w", str(WORKSPACE), "-h", "127.0.0.1", "-p", str(port),
    ]  # fmt: skip
    assert started.environment[LOCATION_VARIABLE] == "cxg_assets"


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


def test_a_port_that_is_taken_is_refused_with_who_has_it(home: Path, starts: list[Started]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused("-p", str(port))
    assert line.startswith(f"cxg-assets: port {port} is taken by process {os.getpid()} (")
    assert "choose another with -p" in line
    assert f"open http://127.0.0.1:{port}" in line
    assert starts == []


def test_a_port_that_is_taken_on_all_addresses_is_refused(home: Path, starts: list[Started]) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        assert f"is taken by process {os.getpid()} (" in refused("-p", str(taken.getsockname()[1]))
    assert starts == []


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_what_is_no_port_is_bad_input(home: Path, starts: list[Started], port: str) -> None:
    assert cxg_assets("ui", "-p", port).exit_code == 2
    assert starts == []


def test_a_daemon_on_the_instance_is_refused_with_its_process(home: Path, starts: list[Started], port: int) -> None:
    (home / "dagster").mkdir(parents=True)
    daemon = subprocess.Popen(
        [sys.executable, "-m", "dagster._daemon", "run", "--empty-workspace"],
        env=os.environ | {"DAGSTER_HOME": str(home / "dagster")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        line = refused("-p", str(port))
    finally:
        daemon.kill()
        daemon.wait()
    assert line.startswith(f"cxg-assets: a Dagster daemon runs on the Dagster instance in {home / 'dagster'}, ")
    assert f"process {daemon.pid} ({sys.executable} -m dagster._daemon run" in line
    assert f"kill {daemon.pid}" in line
    assert starts == []


def hear_of_a_daemon(home: Path, seconds_ago: float) -> None:
    (home / "dagster").mkdir(parents=True, exist_ok=True)
    with DagsterInstance.from_config(str(home / "dagster")) as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - seconds_ago, "SENSOR", "some-id", []))


def test_a_daemon_that_cannot_be_seen_from_here_is_refused_while_it_is_heard_of(
    home: Path, starts: list[Started], port: int
) -> None:
    hear_of_a_daemon(home, 5)
    line = refused("-p", str(port))
    assert "a Dagster daemon was running" in line
    assert "End it where it runs; if it has ended, try again in " in line
    assert starts == []

    hear_of_a_daemon(home, HEARTBEAT_SECONDS + 1)
    assert cxg_assets("ui", "-p", str(port)).exit_code == 0
    assert len(starts) == 1
