"""One worker of a pool: a Ray actor, and what the pool knows of it."""

from dataclasses import dataclass
from typing import Any

from cxg_assets.ingest.worker import IngestJob, Worker
from cxg_assets.resources.errors import LaunchError
from cxg_assets.resources.ray_cluster import worker_runtime_env


@dataclass(eq=False)
class Actor:
    """A worker.

    Attributes:
        handle: Ray's.
        opening: What tells that it has opened the Census; None from then on.
        n_spans: Spans that it has.
        heard: When it was last heard of, or was given work after it had none (`time.monotonic`).
    """

    handle: Any
    opening: Any
    n_spans: int = 0
    heard: float = 0.0

    def end(self) -> None:
        """Ends its process; what it was making is lost."""
        import ray

        ray.kill(self.handle)


def start_actor(job: IngestJob, n_cpus: float) -> Actor:
    """Starts a worker where Ray has a place for it, and lets it open the Census; waits for neither.

    Args:
        job: What it needs to know.
        n_cpus: Its share of the CPUs; less than one if several share one.
    """
    import ray

    options = {"num_cpus": n_cpus, "max_restarts": 0, "runtime_env": worker_runtime_env()}
    handle = ray.remote(**options)(Worker).remote(job)
    return Actor(handle, handle.open.remote())


def require_living_node() -> None:
    """Makes sure that Ray still runs on the driver's machine: otherwise it ends this process at the next actor.

    Raises:
        LaunchError: It does not.
    """
    import ray

    own = ray.get_runtime_context().get_node_id()
    if not any(node["NodeID"] == own and node["Alive"] for node in ray.nodes()):
        raise LaunchError("Ray has died on this machine. See its logs, and the memory of the machine")
