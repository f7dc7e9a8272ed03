"""The processes of `cxg-assets ui`: one UI an instance, and none of its processes is left when it has ended.

They end the UIs of the other tests, and come after them.
"""

import signal
from pathlib import Path

import pytest
from dagster import DagsterInstance

from cxg_assets_tests.cli.command import cxg_assets, move_to
from cxg_assets_tests.servers.processes import processes_with
from cxg_assets_tests.servers.webserver import Ui, free_port, wait_until


def processes_of(home: Path) -> list[str]:
    """Command lines of the processes that serve a home."""
    return processes_with(f"CXG_HOME={home}")


@pytest.mark.parametrize(("served", "number"), [("ui", signal.SIGINT), ("narrow_ui", signal.SIGTERM)])
def test_one_ui_an_instance_and_one_signal_ends_it(
    served: str, number: signal.Signals, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ui: Ui = request.getfixturevalue(served)
    move_to(ui.home, "", monkeypatch)
    with DagsterInstance.from_config(str(ui.home / "dagster")) as instance:
        wait_until("the daemon is heard of", instance.get_daemon_heartbeats, 60)
    names = " ".join(processes_of(ui.home))
    for part in ("dagster dev", "dagster_webserver", "dagster._daemon", "code-server", "api grpc"):
        assert part in names

    second = cxg_assets("ui", "-p", str(free_port()))
    assert second.exit_code == 2
    [line] = second.stderr.splitlines()
    pid = ui.process.pid
    assert f"as process {pid}: open {ui.server.url}, or end it first: kill {pid}" in line

    ui.process.send_signal(number)
    assert ui.process.wait(60) == 0
    assert processes_of(ui.home) == []
    with DagsterInstance.from_config(str(ui.home / "dagster")) as instance:
        assert instance.get_daemon_heartbeats() == {}
