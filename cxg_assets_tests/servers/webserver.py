"""A running Dagster UI, and a client of its webserver: what the UI does, over the same GraphQL."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STARTUP_SECONDS = 120

_LAUNCH_JOB = """
mutation ($selector: JobOrPipelineSelector!) {
  launchRun(executionParams: {selector: $selector, runConfigData: "{}"}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}"""

_LAUNCH_BACKFILL = """
mutation ($key: AssetKeyInput!) {
  launchPartitionBackfill(backfillParams: {assetSelection: [$key], allPartitions: true}) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""

_TERMINATE = """
mutation ($id: String!) { terminateRun(runId: $id) { __typename ... on TerminateRunFailure { message } } }"""

_RUN_STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"

_BACKFILL_STATUS = """
query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"""

_REPOSITORIES = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"

_SENSORS = """
{ repositoriesOrError { ... on RepositoryConnection { nodes { sensors { name sensorState { id status } } } } } }"""

_ROUND_SECONDS = 12.0
"""The daemon looks at sensors every five seconds, or when it has done with the last look."""

_STOP_SENSOR = "mutation ($id: String!) { stopSensor(id: $id) { __typename } }"


@dataclass(frozen=True)
class Webserver:
    """A running UI."""

    url: str

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """The data that a GraphQL query answers."""
        body = json.dumps({"query": text, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = json.load(answer)
        assert "errors" not in content, content["errors"]
        return content["data"]

    def is_ready(self) -> bool:
        """Whether it answers, and the code location is loaded."""
        try:
            data = self.query(_REPOSITORIES)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return bool(data["repositoriesOrError"].get("nodes"))

    def launch_job(self, job: str) -> str:
        """Launches a job of the code location. Returns the run's id."""
        [node] = self.query(_REPOSITORIES)["repositoriesOrError"]["nodes"]
        location = node["location"]["name"]
        selector = {"repositoryName": node["name"], "repositoryLocationName": location, "jobName": job}
        launched = self.query(_LAUNCH_JOB, selector=selector)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return launched["run"]["runId"]

    def stop_sensor(self, name: str) -> None:
        """Switches a sensor of the code location off, until it stays so.

        Dagster's daemon writes back the state of a sensor that it has read before a tick, and so may switch it on
        again: the likely reason why two runs made the same chunks, twice, on a busy machine.
        """
        since = time.monotonic()

        def stays_off() -> bool:
            nonlocal since
            [node] = self.query(_SENSORS)["repositoriesOrError"]["nodes"]
            [state] = [sensor["sensorState"] for sensor in node["sensors"] if sensor["name"] == name]
            if state["status"] != "STOPPED":
                stopped = self.query(_STOP_SENSOR, id=state["id"])["stopSensor"]
                assert stopped["__typename"] == "StopSensorMutationResult", stopped
                since = time.monotonic()
            return time.monotonic() - since > _ROUND_SECONDS

        wait_until(f"sensor {name} stays off", stays_off, 120)

    def path_of_job(self, job: str) -> str:
        """Where the UI shows a job of the code location."""
        [node] = self.query(_REPOSITORIES)["repositoriesOrError"]["nodes"]
        return f"/locations/{node['location']['name']}/jobs/{job}"

    def launch_backfill(self, asset: list[str]) -> str:
        """Launches a backfill of all partitions of an asset. Returns its id."""
        launched = self.query(_LAUNCH_BACKFILL, key={"path": asset})["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return launched["backfillId"]

    def terminate(self, run_id: str) -> None:
        """Terminates a run, as the button in the UI does."""
        answer = self.query(_TERMINATE, id=run_id)["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def wait_for_run(self, run_id: str, seconds: float = 240) -> str:
        """Waits for a run's end. Returns its status."""

        def ended() -> str:
            status = self.query(_RUN_STATUS, id=run_id)["runOrError"]["status"]
            return status if status in ("SUCCESS", "FAILURE", "CANCELED") else ""

        return wait_until(f"run {run_id} ends", ended, seconds)

    def wait_for_backfill(self, backfill_id: str, seconds: float = 300) -> str:
        """Waits for a backfill's end. Returns its status."""

        def ended() -> str:
            status = self.query(_BACKFILL_STATUS, id=backfill_id)["partitionBackfillOrError"]["status"]
            return status if status.startswith(("COMPLETED", "FAILED", "CANCELED")) else ""

        return wait_until(f"backfill {backfill_id} ends", ended, seconds)

    def run_job(self, job: str) -> None:
        """Launches a job and waits until it has succeeded."""
        status = self.wait_for_run(self.launch_job(job))
        assert status == "SUCCESS", f"{job} ended with {status}"


def wait_until(what: str, found: Callable[[], Any], seconds: float) -> Any:
    """Asks again until there is an answer that counts, and returns it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds} s")


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Ui:
    """A running UI.

    Attributes:
        server: Its webserver.
        home: Its CXG_HOME.
        process: What was started.
    """

    server: Webserver
    home: Path
    process: subprocess.Popen[bytes]


@contextmanager
def serve(
    command: Sequence[str],
    home: Path,
    census_uri: str,
    port: int,
    pool: str = "local",
    *,
    sigint: signal.Handlers = signal.SIG_DFL,
    added: Mapping[str, str] = {},
) -> Iterator[Ui]:
    """Runs a command that serves the UI, until the block ends; then all its processes have ended too.

    Args:
        command: The command.
        home: Its CXG_HOME.
        census_uri: Its Census.
        port: Where it listens.
        pool: What runs the workers of its runs.
        sigint: What it is told to do at SIGINT: a shell that starts something in the background hands down that it is
            ignored.
        added: More variables of its environment.
    """
    ours = ("CXG_", "DAGSTER_", "RAY_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"CXG_HOME": str(home), "CXG_CENSUS_URI": census_uri, "DAGSTER_HOME": str(home / "dagster")}
    environment |= {"CXG_POOL": pool, **added}
    log = (home / "server.log").open("wb")
    process = subprocess.Popen(
        command, env=environment, cwd=home, stdout=log, stderr=log, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, sigint) and None,
    )  # fmt: skip
    server = Webserver(f"http://127.0.0.1:{port}")

    def loaded() -> bool:
        assert process.poll() is None, (home / "server.log").read_text()
        return server.is_ready()

    try:
        wait_until("the code location loads", loaded, STARTUP_SECONDS)
        yield Ui(server, home, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        finally:
            log.close()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
