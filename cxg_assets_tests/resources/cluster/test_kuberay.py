"""A Ray cluster that a run asks Kubernetes for: the API is a fake, the cluster that becomes ready a real one."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.resources.cluster import kuberay
from cxg_assets.resources.executors import build_executor, require_pool
from cxg_assets.resources.workers import LaunchError
from cxg_assets_tests.conftest import BLOOD_NORMAL
from cxg_assets_tests.ingested import Ingested, job_of, plan_subset
from cxg_assets_tests.servers.kubernetes_api import KubernetesApi, ready, serve_kubernetes
from cxg_assets_tests.servers.ray_nodes import ONE_MACHINE, TOKENS, free_port, ray_node

pytestmark = pytest.mark.stack

MANIFEST = """
apiVersion: ray.io/v1
kind: RayCluster
metadata:
  namespace: cells
  labels: {team: atlas}
spec:
  rayVersion: "2.60.0"
  enableInTreeAutoscaling: true
  headGroupSpec: {rayStartParams: {num-cpus: "0"}, template: {spec: {containers: [{name: head, image: lab/cxg}]}}}
"""

RUNS = """
import json, pickle, sys
import dagster as dg
import ray
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.plan.spans import plan_spans
from cxg_assets.resources.executors import build_executor

job, chunks = pickle.load(open(sys.argv[1], "rb"))
told = {}

@dg.op(required_resource_keys={"executor"})
def step(context):
    executor = context.resources.executor
    own, ray.__version__ = ray.__version__, "2.1.0"
    try:
        with executor.launch(job, len(chunks), context):
            pass
    except BadInput as error:
        told["refused"] = str(error)
    ray.__version__ = own
    with executor.launch(job, len(chunks), context) as pool:
        told["made"] = {result.chunk: result.sha256 for result in pool.run(plan_spans(chunks, pool.n_workers))}
    try:
        with executor.launch(job, 1, context):
            there = executor.ray._client.list(executor.ray._namespace)["items"]
            raise ZeroDivisionError(f"while {len(there)} cluster is there")
    except ZeroDivisionError as error:
        told["failed"] = list(error.args)

@dg.job(resource_defs={"executor": build_executor(workers=2)})
def run():
    step()

run.execute_in_process()
print(json.dumps(told))
"""
"""Runs with clusters of their own: of another Ray's version, one that goes well, and one that fails."""

ASKS = """
import sys
from cxg_assets.ingest.errors import BadInput
from cxg_assets.resources.ray_address import require_cluster

try:
    require_cluster(sys.argv[1])
except BadInput as error:
    print(error)
"""


def program(text: str, *arguments: str, **environment: str) -> str:
    """What a program prints that is a process of its own: one has one Ray at most, and one token."""
    command = [sys.executable, "-c", text, *arguments]
    variables = {**os.environ, **TOKENS, **environment}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def served() -> Iterator[KubernetesApi]:
    with serve_kubernetes() as api:
        yield api


@pytest.fixture(scope="module")
def client_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where a Ray of two CPUs, which asks for a token, is reached by Ray's client."""
    port = free_port()
    arguments = ["--head", "--node-ip-address=127.0.0.1", f"--port={free_port()}", f"--ray-client-server-port={port}"]
    arguments += ["--num-cpus=2", "--include-dashboard=false", "--object-store-memory=100000000"]
    with ray_node(arguments, tmp_path_factory.mktemp("ray") / "log", environment=ONE_MACHINE):
        yield port


@pytest.fixture
def api(served: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KubernetesApi:
    """A Kubernetes that lets this process in, and settings that lead to it."""
    served.reset()
    (tmp_path / "raycluster.yaml").write_text(MANIFEST)
    variables = {
        "CXG_POOL": "ray", "CXG_RAY": "kuberay", "CXG_KUBERAY_CLUSTER": str(tmp_path / "raycluster.yaml"),
        "CXG_KUBERAY_HOST": "127.0.0.1", "CXG_KUBERAY_TIMEOUT": "1",
        "KUBECONFIG": str(served.kubeconfig(tmp_path / "kubeconfig")),
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(kuberay, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(kuberay, "JOIN_SECONDS", 0.0)
    # A Ray of other tests in this process is neither taken nor ended.
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr(kuberay, "leave_ray", lambda: None)
    # The kubeconfig of the last test is remembered by the Kubernetes client otherwise.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", variables["KUBECONFIG"])
    return served


def in_a_step(deed: Callable[[dg.OpExecutionContext, Any], None]) -> None:
    """Does something with the executor that the settings ask for, in a step of a run."""

    @dg.op(required_resource_keys={"executor"})
    def step(context: dg.OpExecutionContext) -> None:
        deed(context, context.resources.executor)

    @dg.job(resource_defs={"executor": build_executor(workers=2)})
    def run() -> None:
        step()

    run.execute_in_process()


def refusal(kind: type[CxgError] = BadInput) -> str:
    """What a launch says that cannot begin."""

    def launch(context: dg.OpExecutionContext, executor: Any) -> None:
        with executor.launch(None, 1, context):
            pass

    with pytest.raises(kind) as caught:
        in_a_step(launch)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_run_has_a_cluster_of_its_own_whose_files_are_those_of_a_local_one_and_deletes_it(
    api: KubernetesApi, client_port: int, spec: Callable[..., Any], release, index_store, ingest, tmp_path: Path
) -> None:
    api.status = ready(client_port)
    small = spec(value_filter=BLOOD_NORMAL, chunk_size=25, max_obs=250)
    locator = StoreLocator(url=(tmp_path / "store").as_uri())
    _, plan = plan_subset(small, release, index_store, locator)
    task = tmp_path / "task"
    task.write_bytes(pickle.dumps((job_of(release.locator({}), locator, plan), plan.chunks)))
    told = json.loads(program(RUNS, str(task)))

    import ray

    assert f"Version mismatch: The cluster was started with: Ray: {ray.__version__} Python: " in told["refused"]
    assert "was started with: Ray: 2.1.0 Python: " in told["refused"]
    assert told["refused"].endswith("; install the same on both sides")
    alone: Ingested = ingest(small, (tmp_path / "alone").as_uri())
    assert told["made"] == {report.chunk: report.sha256 for report in alone.reports}
    assert told["failed"] == ["while 1 cluster is there"]
    [(first, name), *_] = [deed for deed in api.deeds if deed[0] != "get"]
    assert first == "create"
    assert name.startswith("cxg-")
    assert [verb for verb, _ in api.deeds if verb not in ("get", "list")] == ["create", "delete"] * 3
    assert api.clusters == {}


def test_a_cluster_carries_what_the_manifest_says_and_the_labels_of_its_run(api: KubernetesApi) -> None:
    api.status = {"state": "failed"}
    kept: list[dict[str, Any]] = []
    api.seen = kept.append
    refusal(LaunchError)
    [there] = kept
    assert there["metadata"]["namespace"] == "cells"
    assert there["metadata"]["labels"]["team"] == "atlas"
    assert there["metadata"]["name"] == f"cxg-{there['metadata']['labels']['dagster/run-id'][:8]}-0"
    assert there["spec"]["enableInTreeAutoscaling"]


def test_a_process_without_the_token_of_the_cluster_is_told_at_once(client_port: int) -> None:
    for mode in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "b" * 48}):
        said = program(ASKS, f"ray://127.0.0.1:{client_port}", **mode)
        assert "refuses this process: it requires a token that this process does not have" in said


def test_a_head_that_cannot_be_reached_is_told_and_the_cluster_deleted(api: KubernetesApi) -> None:
    api.status = ready(free_port())
    assert refusal().startswith("no Ray answers at ray://127.0.0.1:")
    assert api.clusters == {}


FORBIDDEN = 'rayclusters.ray.io is forbidden: User "me" cannot create'
UNKNOWN = "the server could not find the requested resource"


@pytest.mark.parametrize(
    ("refused", "kind", "said"),
    [
        ({"create": (403, FORBIDDEN)}, BadInput, 'User "me" cannot create'),
        ({"create": (403, "exceeded quota: clusters, used: 1, limited: 1")}, LaunchError, "has no room for another"),
        ({"create": (404, UNKNOWN)}, BadInput, "install the KubeRay operator"),
        ({"create": (422, "spec: Required value")}, BadInput, "refuses the RayCluster: spec: Required value"),
        ({"get": (403, 'User "me" cannot get')}, BadInput, "does not let this process look at"),
    ],
)
def test_what_kubernetes_refuses_is_one_line_that_says_what_to_do(
    api: KubernetesApi, refused: dict[str, tuple[int, str]], kind: type[CxgError], said: str
) -> None:
    api.refusals = refused
    told = refusal(kind)
    assert said in told
    assert f"Kubernetes at {api.url}" in told
    assert api.clusters == {}


def test_a_token_that_kubernetes_does_not_know_is_told(api: KubernetesApi, tmp_path: Path) -> None:
    api.kubeconfig(Path(os.environ["KUBECONFIG"]), token="another")
    assert "does not let this process create" in refusal()


def test_a_kubernetes_that_is_not_there_is_named(api: KubernetesApi) -> None:
    file = Path(os.environ["KUBECONFIG"])
    gone = f"http://127.0.0.1:{free_port()}"
    file.write_text(file.read_text().replace(api.url, gone))
    assert refusal(LaunchError).startswith(f"no Kubernetes at {gone} answers: ")


def test_a_cluster_that_is_never_ready_is_deleted_and_the_operators_reason_told(api: KubernetesApi) -> None:
    message = 'pods "head" is forbidden: exceeded quota: compute-resources'
    failed = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreateHeadPod", "message": message}
    for state in ("", "failed"):
        api.status = {"state": state, "conditions": [failed], "desiredCPU": "2"}
        said = refusal(LaunchError)
        assert "is not ready (1 s at most, CXG_KUBERAY_TIMEOUT): FailedCreateHeadPod: pods" in said
        assert said.endswith("compute-resources. It was deleted again")
        assert api.clusters == {}


def test_settings_that_lack_something_are_told_before_any_work(
    api: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> str:
        with pytest.raises(BadInput) as caught:
            build_executor()
        return str(caught.value)

    require_pool()
    monkeypatch.setenv("CXG_KUBERAY_TIMEOUT", "soon")
    assert told() == "CXG_KUBERAY_TIMEOUT: soon is no number of seconds above 0"
    named = MANIFEST.replace("image: lab/cxg", "image: lab/cxg, ports: [{name: gcs-server, containerPort: 6379}]")
    (tmp_path / "raycluster.yaml").write_text(named)
    assert "names its ports: add client (10001) and dashboard (8265), or name none" in told()
    (tmp_path / "raycluster.yaml").write_text("kind: RayJob")
    assert told().endswith("raycluster.yaml must have kind: RayCluster and a spec")
    (tmp_path / "raycluster.yaml").write_text("- a")
    assert "must be a YAML mapping" in told()
    (tmp_path / "raycluster.yaml").unlink()
    assert "raycluster.yaml cannot be read: No such file" in told()
    monkeypatch.delenv("CXG_KUBERAY_CLUSTER")
    assert told().startswith("CXG_RAY=kuberay: set CXG_KUBERAY_CLUSTER to the YAML file of a RayCluster")
    monkeypatch.setenv("CXG_RAY", "slurm")
    assert told() == "CXG_RAY: 'slurm' is unknown; it is kuberay, or not set"
