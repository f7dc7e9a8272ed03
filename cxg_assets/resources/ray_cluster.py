"""The Ray that a run uses when none is configured: its own on this machine, or the cluster RAY_ADDRESS names."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from dagster_ray import Lifecycle
from dagster_ray.core.resources import LocalRay
from pydantic import Field

if TYPE_CHECKING:
    from ray._private.worker import BaseContext

OWN_RAY_OPTIONS: dict[str, Any] = {
    "include_dashboard": False,
    "log_to_driver": False,
    "configure_logging": False,
    # Reports are small and cells never pass through Ray's object store; this is near the least that Ray takes.
    "object_store_memory": 100 * 2**20,
    # Ray would listen on the machine's outward address.
    "_node_ip_address": "127.0.0.1",
}
"""How a Ray is started that serves one run on one machine."""


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


def _start_or_join(address: str, options: dict[str, Any]) -> Any:
    import ray

    known = address or os.environ.get("RAY_ADDRESS") or None
    return ray.init(address=known, **(options if known else OWN_RAY_OPTIONS | options))

