"""What `cxg-assets doctor` tells of Ray."""

import re
import socket
from pathlib import Path

import pytest

from cxg_assets_tests.cli.command import cxg_assets, files_below
from cxg_assets_tests.cli.doctor.test_command import levels, line_of


@pytest.mark.stack
def test_the_ray_of_a_run_is_started_and_stopped_again(home: Path) -> None:
    outcome = cxg_assets("doctor")

    assert outcome.exit_code == 0, outcome.stdout
    told = line_of(outcome, "ray")
    assert told.startswith("ok ")
    assert re.search(r", started and stopped here: nodes 1, CPUs [1-9]\d*, memory ", told)
    assert files_below(home) == {}


def test_a_cluster_that_is_not_there_fails_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", closed)
    outcome = cxg_assets("doctor")

    assert outcome.exit_code == 1
    assert [subject for level, subject in levels(outcome) if level == "FAILED"] == ["ray"]
    assert f"no Ray answers at RAY_ADDRESS={closed}" in line_of(outcome, "ray")
    assert line_of(outcome, "memory").startswith("ok ")
