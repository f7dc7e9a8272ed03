"""A Ray cluster on Kubernetes that is made for a run and deleted after it: a RayCluster of the KubeRay operator."""

import contextlib
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from pydantic import Field

from cxg_assets import settings
from cxg_assets.ingest.errors import BadInput
from cxg_assets.resources.cluster.runtime_env import read_mapping
from cxg_assets.resources.ray_address import NoRay, require_cluster
from cxg_assets.resources.ray_cluster import RunRay, join, leave_ray
from cxg_assets.resources.workers import LaunchError, first_line

if TYPE_CHECKING:
    from dagster_ray.kuberay.client import RayClusterClient
    from ray._private.worker import BaseContext

FILE = "CXG_KUBERAY_CLUSTER"
POLL_SECONDS = 2.0

JOIN_SECONDS = 120.0
"""A head that is ready may need so long until it takes clients; a busy one may not have answered the first."""


class RunKubeRay(RunRay):
    """A RayCluster that a run asks Kubernetes for, joins by Ray's client, and deletes."""

    manifest: dict[str, Any] = Field(description="The RayCluster, as `kubectl apply` takes it.")
    kube_context: str = Field(default="", description="Context of the kubeconfig. Empty: its current one.")
    head_host: str = Field(
        default="", description="Where the head is reached. Empty: its service's name in Kubernetes."
    )
    timeout: float = Field(default=600.0, description="Seconds until the cluster must be ready.")

    def connect(self, context: dg.OpExecutionContext | dg.AssetExecutionContext) -> "BaseContext":
        """Makes the cluster, waits until it is ready, and joins it.

        Raises:
            BadInput: Kubernetes does not let this process, or does not know RayClusters.
            LaunchError: The cluster failed or was not ready in time; it is deleted again.
        """
        metadata = self.manifest.get("metadata") or {}
        self._namespace = str(metadata.get("namespace") or "default")
        self._cluster = f"cxg-{context.run_id[:8]}-{context.retry_number}"
        body = {**self.manifest, "metadata": {**metadata, "name": self._cluster}}
        body["metadata"]["labels"] = {**(metadata.get("labels") or {}), **_labels(context)}
        self._client = _client(self.kube_context)
        with self._told("create"):
            self._client.create(body, self._namespace)
        context.log.info(f"Created RayCluster {self._namespace}/{self._cluster}")
        try:
            with self._told("look at"):
                service, ports = self._client.wait_until_ready(
                    self._cluster, self._namespace, timeout=self.timeout, poll_interval=POLL_SECONDS
                )
            host = self.head_host or f"{service}.{self._namespace}.svc.cluster.local"
            address = f"ray://{host}:{ports.get('client', self.redis_port)}"
            self._context = self._joined(address)
        except BaseException:
            self.leave(context)
            raise
        return cast("BaseContext", self._context)

    def leave(self, context: dg.OpExecutionContext | dg.AssetExecutionContext) -> None:
        """Leaves the cluster and deletes it; what keeps it from being deleted is a line of the run's log."""
        leave_ray()
        try:
            self._client.delete(self._cluster, self._namespace)
        except Exception as error:  # noqa: BLE001 - the chunks are stored; whatever it is, somebody must look
            context.log.warning(
                f"RayCluster {self._namespace}/{self._cluster} could not be deleted: {_said(error)}; "
                f"kubectl -n {self._namespace} delete raycluster {self._cluster}"
            )
        else:
            context.log.info(f"Deleted RayCluster {self._namespace}/{self._cluster}")

    def _joined(self, address: str) -> Any:
        until = time.monotonic() + JOIN_SECONDS
        while True:
            try:
                require_cluster(address)
                return join(address, self.ray_init_options)
            except (NoRay, ConnectionError):
                if time.monotonic() > until:
                    raise
            time.sleep(POLL_SECONDS)

    @contextlib.contextmanager
    def _told(self, deed: str) -> Iterator[None]:
        """Errors of Kubernetes as one line that says what to do."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        where = f"Kubernetes at {self._client.api_client.configuration.host}"
        what = f"rayclusters.ray.io in namespace {self._namespace}"
        try:
            yield
        except ApiException as error:
            said = _said(error)
            if error.status == 404:
                raise BadInput(
                    f"{where} knows no {what}: {said}; install the KubeRay operator, or set another namespace in {FILE}"
                ) from error
            if error.status == 403 and "quota" in said:
                raise LaunchError(f"{where} has no room for another of {what}: {said}") from error
            if error.status in (401, 403):
                raise BadInput(
                    f"{where} does not let this process {deed} {what}: {said}; it needs the verbs create, get and "
                    "delete of rayclusters and get of rayclusters/status"
                ) from error
            if error.status in (400, 409, 422):
                raise BadInput(f"{FILE}: {where} refuses the RayCluster: {said}") from error
            raise LaunchError(f"{where} could not {deed} {what}: {said}") from error
        except HTTPError as error:
            raise LaunchError(
                f"no {where} answers: {first_line(error)}; see `kubectl cluster-info`, KUBECONFIG and "
                "CXG_KUBERAY_CONTEXT"
            ) from error
        except (TimeoutError, RuntimeError) as error:
            raise LaunchError(
                f"RayCluster {self._namespace}/{self._cluster} is not ready ({self.timeout:.0f} s at most, "
                f"CXG_KUBERAY_TIMEOUT): {self._condition() or first_line(error)}. It was deleted again"
            ) from error

    def _condition(self) -> str:
        """What the operator says keeps a cluster from being ready: quota, images, no room."""
        with contextlib.suppress(Exception):
            status: Any = self._client.get(self._cluster, self._namespace).get("status") or {}
            said = [status.get("reason") or ""]
            said += [
                f"{condition.get('reason')}: {condition.get('message')}"
                for condition in status.get("conditions") or []
                if condition.get("message")
                and (condition.get("status") == "True") == (condition["type"] == "ReplicaFailure")
            ]
            return "; ".join(filter(None, said))[:600]
        return ""


def kuberay_of_settings() -> RunKubeRay:
    """What `CXG_KUBERAY_CLUSTER`, `CXG_KUBERAY_CONTEXT`, `CXG_KUBERAY_HOST` and `CXG_KUBERAY_TIMEOUT` say.

    Raises:
        BadInput: A package is missing, the file is, or a value is none.
    """
    try:
        import kubernetes  # noqa: F401
    except ImportError as error:
        raise BadInput('CXG_RAY=kuberay needs the Kubernetes client: pip install "cxg_assets[kuberay]"') from error
    variables = settings.Variables()
    if not variables.kuberay_cluster:
        raise BadInput(f"CXG_RAY=kuberay: set {FILE} to the YAML file of a RayCluster, as `kubectl apply` takes it")
    file = settings.project() / variables.kuberay_cluster
    manifest = read_mapping(FILE, file)
    if manifest.get("kind") != "RayCluster" or not isinstance(manifest.get("spec"), dict):
        raise BadInput(f"{FILE}: {file} must have kind: RayCluster and a spec")
    if not {"client", "dashboard"} <= _port_names(manifest):
        raise BadInput(
            f"{FILE}: the head's container in {file} names its ports: add client (10001) and dashboard (8265), or name "
            "none, which KubeRay takes for all of them"
        )
    try:
        timeout = float(variables.kuberay_timeout or 600)
    except ValueError:
        timeout = 0.0
    if not 0 < timeout < 86_400:
        raise BadInput(f"CXG_KUBERAY_TIMEOUT: {variables.kuberay_timeout:.100} is no number of seconds above 0")
    return RunKubeRay(
        manifest=manifest, kube_context=variables.kuberay_context, head_host=variables.kuberay_host, timeout=timeout
    )


def _port_names(manifest: dict[str, Any]) -> set[str]:
    """Ports of the head's service, as KubeRay finds them."""
    try:
        ports = manifest["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0].get("ports")
        return {str(port.get("name")) for port in ports} if ports else {"client", "dashboard"}
    except (KeyError, IndexError, TypeError, AttributeError):
        return {"client", "dashboard"}  # Kubernetes says what is wrong with the rest


def _client(kube_context: str) -> "RayClusterClient":
    from dagster_ray.kuberay.client import RayClusterClient

    return RayClusterClient(kube_context=kube_context or None)


def _labels(context: dg.OpExecutionContext | dg.AssetExecutionContext) -> dict[str, str]:
    """By which dagster-ray's sensors find the clusters of runs that were killed."""
    from dagster_ray._base.utils import get_dagster_tags
    from dagster_ray.kuberay.utils import normalize_k8s_label_values

    return normalize_k8s_label_values(get_dagster_tags(context))


def _said(error: Exception) -> str:
    """What Kubernetes says in the `Status` that it answers with."""
    from kubernetes.client import ApiException

    if isinstance(error, ApiException):
        found = re.search(r'"message":\s*"((?:[^"\\]|\\.)*)"', str(error.body or ""))
        text = found[1].replace('\\"', '"') if found else f"{error.status} {error.reason}"
        return text[:400]
    return first_line(error)[:400]
