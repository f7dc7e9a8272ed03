"""Launches the pool of one materialization: spans go out, a result for each chunk comes back as it is there."""

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import dagster as dg
from pydantic import Field

from cxg_assets.ingest.chunks.worker import IngestJob
from cxg_assets.resources.local_workers import LocalWorkers
from cxg_assets.resources.pool import Pool

StepContext = dg.AssetExecutionContext | dg.OpExecutionContext


class PoolExecutor(dg.ConfigurableResource, ABC):
    """Launches a pool of workers for one materialization.

    Shaped after `concurrent.futures`:
    `with executor.launch(job, n_chunks, context) as pool: for result in pool.run(spans): …`
    """

    workers: int = Field(default=0, ge=0, description="Worker processes. 0: one for each CPU.")
    max_attempts: int = Field(default=3, ge=1, description="How often a chunk is tried before it counts as failed.")

    @abstractmethod
    def launch(self, job: IngestJob, n_chunks: int, context: StepContext) -> AbstractContextManager[Pool]:
        """Yields a pool whose workers are ready; they are gone afterwards.

        Args:
            job: What every worker needs to know; its `n_threads` is set here, to a worker's share of the CPUs.
            n_chunks: Chunks to make; there are never more workers than that.
            context: The step's.

        Raises:
            LaunchError: The pool cannot be started, or there is no place for a worker.
        """

    def n_workers(self, n_cpus: int, n_chunks: int) -> int:
        """How many workers a pool has that shares so many CPUs and makes so many chunks."""
        return min(self.workers or max(n_cpus, 1), n_chunks)


@contextlib.contextmanager
def started(pool: Pool) -> Iterator[Pool]:
    """Starts a pool and closes it at the end of the block."""
    try:
        pool.start()
        yield pool
    finally:
        pool.close()


def share_of_cpus(job: IngestJob, n_cpus: int, n_workers: int) -> IngestJob:
    """The same job for workers that share so many CPUs."""
    return replace(job, n_threads=max(n_cpus // n_workers, 1))


class LocalPoolExecutor(PoolExecutor):
    """Launches a pool of processes on this machine for one materialization; see `PoolExecutor`.

    Same faults, same metadata as with Ray, and seconds sooner: for laptops, notebooks and tests.
    """

    @contextlib.contextmanager
    def launch(self, job: IngestJob, n_chunks: int, context: StepContext) -> Iterator[Pool]:
        """Yields a pool of processes."""
        n_cpus = usable_cpus()
        n_workers = self.n_workers(n_cpus, n_chunks)
        workers = LocalWorkers(share_of_cpus(job, n_cpus, n_workers))
        with started(Pool(workers, n_workers, self.max_attempts)) as pool:
            yield pool


def usable_cpus() -> int:
    """CPUs that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS does not tell
        return os.cpu_count() or 1
