"""The Ray that a run uses when none is configured: its own on this machine, or the cluster RAY_ADDRESS names."""

import os
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
        import ray

        address = self.address or os.environ.get("RAY_ADDRESS") or None
        options = self.ray_init_options if address else OWN_RAY_OPTIONS | self.ray_init_options
        self._context = ray.init(address=address, **options)
        return cast("BaseContext", self._context)

