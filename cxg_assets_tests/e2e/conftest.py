"""A real webserver with its daemon, asked over GraphQL as the UI asks it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cxg_assets.demo import build_census

STARTUP_SECONDS = 120
WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"
N_OBS = 6_000
"""Human cells of the census: over 2,000 pass the filter of blood_normal, three chunks."""


@dataclass(frozen=True)
class Webserver:
    """A running UI."""

    url: str
    home: Path

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """The data that a GraphQL query answers."""
        body = json.dumps({"query": text, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = json.load(answer)
        assert "errors" not in content, content["errors"]
        return content["data"]


def wait_until(what: str, found: Callable[[], Any], seconds: float) -> Any:
    """Asks again until there is an answer that counts, and returns it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds} s")


@contextmanager
def serve(command: Sequence[str], home: Path, census_uri: str, port: int) -> Iterator[Webserver]:
    """Runs a command that serves the UI, until the block ends; then all its processes have ended too."""
    ours = ("CXG_", "DAGSTER_", "RAY_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"CXG_HOME": str(home), "CXG_CENSUS_URI": census_uri, "DAGSTER_HOME": str(home / "dagster")}
    log = (home / "server.log").open("wb")
    process = subprocess.Popen(
        command, env=environment, cwd=home, stdout=log, stderr=log, start_new_session=True,
        # A shell that starts tests in the background hands down an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )  # fmt: skip
    server = Webserver(f"http://127.0.0.1:{port}", home)

    def loaded() -> bool:
        assert process.poll() is None, (home / "server.log").read_text()
        try:
            data = server.query("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return bool(data["repositoriesOrError"].get("nodes"))

    try:
        wait_until("the code location loads", loaded, STARTUP_SECONDS)
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        finally:
            log.close()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def ui_census_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("census") / "demo"
    build_census(path, n_obs=N_OBS, seed=3)
    return str(path)


@pytest.fixture(scope="module")
def ui(ui_census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webserver]:
    """The workspace of the project, served on a home of its own."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    (home / "dagster").mkdir()
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(WORKSPACE), "-h", "127.0.0.1", "-p", str(port)]
    with serve(command, home, ui_census_uri, port) as server:
        yield server
