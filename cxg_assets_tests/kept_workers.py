"""Real Ray actors whose processes serve one pool after the other: a new process imports for 3 seconds of CPU time.

For tests of what lies above the pool. Those of the pool itself, and of faults, have processes of their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from cxg_assets.ingest.report import ChunkFailure, ChunkReport
from cxg_assets.ingest.spans import Span
from cxg_assets.ingest.worker import IngestJob, Worker
from cxg_assets.resources import pool
from cxg_assets.resources.actor import Actor


class _Host:
    """What runs in a process that is kept: a `Worker`, and then another."""

    _worker: Worker | None = None

    def open(self, job: IngestJob) -> None:
        if self._worker is not None:
            self._worker.close()
        self._worker = Worker(job)
        self._worker.open()

    def run(self, span: Span) -> Iterator[ChunkReport | ChunkFailure]:
        assert self._worker is not None
        yield from self._worker.run(span)


class KeptWorkers:
    """Starts actors, or gives those that were left idle by an earlier pool."""

    def __init__(self) -> None:
        self._idle: list[tuple[float, Any]] = []

    def start_actor(self, job: IngestJob, n_cpus: float) -> Actor:
        """In place of `actor.start_actor`."""
        import ray

        while self._idle:
            had, handle = self._idle.pop()
            if had == n_cpus:
                break
            ray.kill(handle)
        else:
            handle = ray.remote(num_cpus=n_cpus, max_restarts=0)(_Host).remote()
        return _KeptActor(handle, handle.open.remote(job), self._idle, n_cpus)

    def end(self) -> None:
        """Ends those that are idle."""
        import ray

        while self._idle:
            with suppress(ValueError):  # its Ray has ended already
                ray.kill(self._idle.pop()[1])


class _KeptActor(Actor):
    """Goes back to the idle ones at its end, if it has opened its job and makes nothing any more."""

    def __init__(self, handle: Any, opening: Any, idle: list[tuple[float, Any]], n_cpus: float) -> None:
        super().__init__(handle, opening)
        self._idle = idle
        self._n_cpus = n_cpus

    def end(self) -> None:
        if self.opening is None and self.n_spans == 0:
            self._idle.append((self._n_cpus, self.handle))
        else:
            super().end()


@contextmanager
def keep_workers() -> Iterator[KeptWorkers]:
    """Pools made inside the block keep their processes."""
    kept = KeptWorkers()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(pool, "start_actor", kept.start_actor)
        try:
            yield kept
        finally:
            kept.end()
