"""The processes of `cxg-assets ui`: one UI an instance, and none of its processes is left when it has ended."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from dagster import DagsterInstance

from cxg_assets_tests.cli.command import cxg_assets
from cxg_assets_tests.servers.processes import processes_with
from cxg_assets_tests.servers.webserver import Webserver, free_port, wait_until

PROMISED_SECONDS = 5


def processes_of(home: Path) -> list[str]:
    """Command lines of the processes that serve a home."""
    return processes_with(f"CXG_HOME={home}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_ui_an_instance_and_one_signal_ends_it(home: Path, number: signal.Signals) -> None:
    port = free_port()
    (home).mkdir()
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cxg_assets", "ui", "-p", str(port)], stdout=log, stderr=log,
            # A shell that starts tests in the background hands down an ignored SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN) and None,
        )  # fmt: skip
    try:
        server = Webserver(f"http://127.0.0.1:{port}")
        wait_until("the code location loads", server.is_ready, 120)
        with DagsterInstance.from_config(str(home / "dagster")) as instance:
            wait_until("the daemon is heard of", instance.get_daemon_heartbeats, 60)
        names = " ".join(processes_of(home))
        for part in ("dagster dev", "dagster_webserver", "dagster._daemon", "code-server", "api grpc"):
            assert part in names

        second = cxg_assets("ui", "-p", str(free_port()))
        assert second.exit_code == 2
        [line] = second.stderr.splitlines()
        assert f"as process {process.pid}: open http://127.0.0.1:{port}, or end it first: kill {process.pid}" in line

        process.send_signal(number)
        assert process.wait(PROMISED_SECONDS) == 0
        assert processes_of(home) == []
        with DagsterInstance.from_config(str(home / "dagster")) as instance:
            assert instance.get_daemon_heartbeats() == {}
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
