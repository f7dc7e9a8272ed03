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


def test_a_cluster_that_each_run_asks_kubernetes_for_is_not_made_to_look_at_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "raycluster.yaml"
    file.write_text("{kind: RayCluster, metadata: {namespace: cells}, spec: {}}")
    monkeypatch.setenv("CXG_RAY", "kuberay")
    monkeypatch.setenv("CXG_KUBERAY_CLUSTER", str(file))
    outcome = cxg_assets("doctor")

    assert outcome.exit_code == 0, outcome.stdout
    assert "each run asks Kubernetes for a cluster in namespace cells; none was made now" in line_of(outcome, "ray")
    assert "not checked, as no machine of the cluster has CPUs yet" in line_of(outcome, "memory")
    file.unlink()
    assert "CXG_KUBERAY_CLUSTER: " in line_of(cxg_assets("doctor"), "ray")
