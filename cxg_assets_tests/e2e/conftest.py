"""A real webserver with its daemon, asked over GraphQL as the UI asks it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from cxg_assets.demo import build_census
from cxg_assets_tests.webserver import Webserver, free_port, wait_until

STARTUP_SECONDS = 120
WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"
N_OBS = 6_000
"""Human cells of the census: over 2,000 pass the filter of blood_normal, three chunks."""


@dataclass(frozen=True)
class Ui:
    """A running UI.

    Attributes:
        server: Its webserver.
        home: Its CXG_HOME.
    """

    server: Webserver
    home: Path


@contextmanager
def serve(command: Sequence[str], home: Path, census_uri: str, port: int) -> Iterator[Ui]:
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
    server = Webserver(f"http://127.0.0.1:{port}")

    def loaded() -> bool:
        assert process.poll() is None, (home / "server.log").read_text()
        return server.is_ready()

    try:
        wait_until("the code location loads", loaded, STARTUP_SECONDS)
        yield Ui(server, home)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        finally:
            log.close()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def ui_census_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("census") / "demo"
    build_census(path, n_obs=N_OBS, seed=3)
    return str(path)


@pytest.fixture(scope="module")
def ui(ui_census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """The workspace of the project, served on a home of its own."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    (home / "dagster").mkdir()
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(WORKSPACE), "-h", "127.0.0.1", "-p", str(port)]
    with serve(command, home, ui_census_uri, port) as server:
        yield server
