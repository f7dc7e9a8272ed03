"""Launches the Ray pool of one materialization."""

import contextlib
import math
from collections.abc import Iterator

import dagster as dg

from cxg_assets.ingest.chunks.worker import IngestJob
from cxg_assets.resources.cluster.client_workers import ClientWorkers
from cxg_assets.resources.cluster.versions import require_same_versions
from cxg_assets.resources.executor import PoolExecutor, StepContext, share_of_cpus, started
from cxg_assets.resources.pool import Pool
from cxg_assets.resources.ray_cluster import (
    RunRay,
    dashboard_url,
    end_held_ray,
    is_client,
    wait_for_held_ray,
    worker_runtime_env,
)
from cxg_assets.resources.ray_workers import RayWorkers
from cxg_assets.resources.workers import LaunchError


class RayPoolExecutor(PoolExecutor):
    """Launches a pool of Ray actors for one materialization; see `PoolExecutor`.

    `workers: 0` is one for each CPU of the cluster.
    """

    ray: dg.ResourceDependency[RunRay]

    @contextlib.contextmanager
    def launch(self, job: IngestJob, n_chunks: int, context: StepContext) -> Iterator[Pool]:
        """Connects to Ray, if nobody did, and yields a pool of actors.

        Raises:
            BadInput: No Ray answers at the address of the cluster; see also `PoolExecutor`.
        """
        import ray
        from ray.exceptions import RayError

        dashboard: str | None = None
        with contextlib.suppress(Exception):  # without it a Ray is started here, and what is wrong is told
            dashboard = dashboard_url(wait_for_held_ray())
        joined = not ray.is_initialized()
        if joined:
            try:
                dashboard = dashboard_url(self.ray.connect(context))
            except (OSError, RuntimeError, RayError) as error:
                raise LaunchError(f"Ray cannot be started or joined: {error}") from error
        try:
            n_cpus = int(ray.cluster_resources().get("CPU", 1))
            n_workers = self.n_workers(n_cpus, n_chunks)
            kind, cpus_per_worker = RayWorkers, 1.0
            if worker_runtime_env():
                # A cluster. Those who find no CPU wait for one, and let an autoscaler know that they do.
                require_same_versions()
                kind = ClientWorkers if is_client() else RayWorkers
            else:
                # Ray counts CPUs in 1/10,000; rounded up, the last actor would wait for ever.
                cpus_per_worker = min(1.0, math.floor(10_000 * n_cpus / n_workers) / 10_000)
            workers = kind(share_of_cpus(job, n_cpus, n_workers), cpus_per_worker)
            with started(Pool(workers, n_workers, self.max_attempts, dashboard)) as pool:
                yield pool
        except LaunchError:
            end_held_ray()  # the step is begun again, with another Ray
            raise
        except SystemError as error:
            # What interrupts Ray's C code comes out as the cause of a SystemError, which would pass for a failure
            # after which the step is begun again.
            if error.__cause__ is None or isinstance(error.__cause__, Exception):
                raise
            raise error.__cause__ from None
        finally:
            if joined:
                self.ray.leave(context)
