"""Launches the pool of one materialization on this machine, without Ray."""

import contextlib
import os
from collections.abc import Iterator

from cxg_assets.ingest.chunks.worker import IngestJob
from cxg_assets.resources.executor import PoolExecutor, StepContext, share_of_cpus, started
from cxg_assets.resources.local_workers import LocalWorkers
from cxg_assets.resources.pool import Pool


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
