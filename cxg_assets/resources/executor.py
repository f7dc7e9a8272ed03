"""Launches the Ray pool of one materialization: spans go out, a result for each chunk comes back as it is there."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
from dagster_ray import RayResource
from pydantic import Field

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.worker import IngestJob
from cxg_assets.resources.errors import LaunchError
from cxg_assets.resources.pool import Pool
from cxg_assets.resources.ray_cluster import dashboard_url, leave_ray


class RayPoolExecutor(dg.ConfigurableResource):
    """Launches a pool of Ray actors for one materialization.

    Shaped after `concurrent.futures`:
    `with executor.launch(job, n_chunks, context) as pool: for result in pool.run(spans): …`
    """

    ray: dg.ResourceDependency[RayResource]
    workers: int = Field(default=0, description="Ray actors. 0: one for each CPU of the cluster.")
    max_attempts: int = Field(default=3, description="How often a chunk is tried before it counts as failed.")

    @contextlib.contextmanager
    def launch(
        self, job: IngestJob, n_chunks: int, context: dg.OpExecutionContext | dg.AssetExecutionContext
    ) -> Iterator[Pool]:
        """Connects to Ray, if nobody did, and yields a pool whose actors are ready; they are gone afterwards.

        Args:
            job: What every worker needs to know; its `n_threads` is set here, to a worker's share of the CPUs.
            n_chunks: Chunks to make; there are never more actors than that.
            context: The step's.

        Raises:
            BadInput: The number of workers is negative; no Ray answers at the address of the cluster.
            LaunchError: Ray cannot be started, or has no place for a worker.
        """
        import ray
        from ray.exceptions import RayError

        if self.workers < 0:
            raise BadInput(f"workers: {self.workers} is not a positive whole number")
        joined = not ray.is_initialized()
        dashboard: str | None = None
        if joined:
            try:
                dashboard = dashboard_url(self.ray.connect(context))
            except (OSError, RuntimeError, RayError) as error:
                raise LaunchError(f"Ray cannot be started or joined: {error}") from error
        try:
            n_cpus = int(ray.cluster_resources().get("CPU", 1))
            n_workers = min(self.workers or max(n_cpus, 1), n_chunks)
            job = replace(job, n_threads=max(n_cpus // n_workers, 1))
            # Ray counts CPUs in 1/10,000; rounded up, the last actor would wait for ever.
            cpus_per_worker = min(1.0, math.floor(10_000 * n_cpus / n_workers) / 10_000)
            pool = Pool(job, n_workers, cpus_per_worker, self.max_attempts, dashboard)
            try:
                pool.start()
                yield pool
            finally:
                pool.close()
        except SystemError as error:
            # What interrupts Ray's C code comes out as the cause of a SystemError, which would pass for a failure
            # after which the step is begun again.
            if error.__cause__ is None or isinstance(error.__cause__, Exception):
                raise
            raise error.__cause__ from None
        finally:
            if joined:
                leave_ray()
