"""The Ray that a run uses when none is configured: its own on this machine, or the cluster RAY_ADDRESS names."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from dagster_ray import Lifecycle
from dagster_ray.core.resources import LocalRay
from pydantic import Field

from cxg_assets.ingest.process import WORKER_ENVIRONMENT

if TYPE_CHECKING:
    from ray._private.worker import BaseContext

READY_NODE = "cxg_worker_environment"
"""Custom resource of a Ray node whose processes were started with `WORKER_ENVIRONMENT`."""

OWN_RAY_OPTIONS: dict[str, Any] = {
    # Without it Ray would join a cluster that somebody started on this machine, and refuse these options.
    "address": "local",
    "include_dashboard": False,
    "log_to_driver": False,
    "configure_logging": False,
    # Reports are small and cells never pass through Ray's object store; this is near the least that Ray takes.
    "object_store_memory": 100 * 2**20,
    "_node_ip_address": "127.0.0.1",
}
"""How a Ray is started that serves one run on one machine; `start_own_ray` sees that it listens there alone."""

_ONE_MACHINE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's switch for systems where it supports no clusters. With it Ray keeps to 127.0.0.1; without, it takes that
address for the machine's outward one, and all its processes listen on every interface (seen with Ray 2.60)."""


class RunRay(LocalRay):
    """A Ray that the run starts and stops, or an existing cluster that it joins and leaves."""

    address: str = Field(
        default="", description="Address of an existing cluster. Empty: RAY_ADDRESS, else a Ray of the run's own."
    )
    lifecycle: Lifecycle = Lifecycle(create=False)

    def connect(self, context: dg.OpExecutionContext | dg.AssetExecutionContext) -> "BaseContext":
        """Starts or joins Ray."""
        self._context = _start_or_join(self.address, self.ray_init_options)
        return cast("BaseContext", self._context)


@contextlib.contextmanager
def one_ray_for_several_runs() -> Iterator[None]:
    """Runs inside the block share a Ray, where each would start its own. A Ray that runs already is used and left."""
    import ray

    if ray.is_initialized():
        yield
        return
    _start_or_join("", {})
    try:
        yield
    finally:
        ray.shutdown()


def worker_runtime_env() -> dict[str, Any]:
    """The `runtime_env` that gives an actor `WORKER_ENVIRONMENT`; empty where every node has it already.

    Only Ray's own processes can inherit it for nothing: with a runtime_env an actor waits for a new process, 1.5 s.
    """
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]
    if all(READY_NODE in node["Resources"] for node in nodes):
        return {}
    return {"env_vars": WORKER_ENVIRONMENT}


def dashboard_url(context: "BaseContext") -> str | None:
    """URL of the dashboard of a Ray that was joined; None if it has none.

    Args:
        context: What `ray.init` gave.
    """
    address = getattr(context, "dashboard_url", None)
    if not address:
        return None
    return address if "://" in address else f"http://{address}"


def _start_or_join(address: str, options: dict[str, Any]) -> Any:
    import ray

    known = address or os.environ.get("RAY_ADDRESS") or None
    if known:
        return ray.init(address=known, **options)
    return start_own_ray(options)


def start_own_ray(options: dict[str, Any]) -> Any:
    """Starts a Ray on this machine that nobody else can reach, and joins it.

    Args:
        options: For `ray.init`, besides `OWN_RAY_OPTIONS`.
    """
    import ray
    from ray._private import ray_constants

    environment = {**WORKER_ENVIRONMENT, **_ONE_MACHINE}
    added = {name: value for name, value in environment.items() if name not in os.environ}
    os.environ.update(added)
    # Ray has read the switch when it was imported, which may be long ago.
    allows_clusters, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        return ray.init(**{**OWN_RAY_OPTIONS, "resources": {READY_NODE: 1}, **options})
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = allows_clusters
        for name in added:
            del os.environ[name]
