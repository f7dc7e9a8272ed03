"""Worker processes of this machine that serve one pool after the other: a new one imports for 2 seconds of CPU time.

A process that dies, or still makes something when its pool ends, is not kept. Tests of the processes themselves, of
Ray, and of faults have their own.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest

from cxg_assets.ingest.chunks.worker import IngestJob
from cxg_assets.resources import local_workers
from cxg_assets.resources.local_workers import LocalWorker


class KeptWorkers:
    """Starts workers, or gives those that were left idle by an earlier pool."""

    def __init__(self) -> None:
        self._idle: list[LocalWorker] = []
        self._start = local_workers.start_local_worker

    def start(self, job: IngestJob) -> LocalWorker:
        """In place of `local_workers.start_local_worker`."""
        if self._idle:
            started = self._idle.pop()
            started.connection.send(job)
        else:
            started = self._start(job)
        return _KeptWorker(
            process=started.process, connection=started.connection, stderr=started.stderr, idle=self._idle
        )

    def end(self) -> None:
        """Ends those that are idle."""
        while self._idle:
            LocalWorker.end(self._idle.pop())


class _KeptWorker(LocalWorker):
    """Goes back to the idle ones at its end, if it has opened its job and makes nothing any more."""

    def __init__(self, *, idle: list[LocalWorker], **process: object) -> None:
        super().__init__(**process)  # type: ignore[arg-type]
        self._idle = idle

    def end(self) -> None:
        if self.is_open and self.n_spans == 0 and self.process.poll() is None:
            self._idle.append(self)
        else:
            super().end()


@contextmanager
def keep_workers() -> Iterator[KeptWorkers]:
    """Pools made inside the block keep their processes."""
    kept = KeptWorkers()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(local_workers, "start_local_worker", kept.start)
        monkeypatch.setattr(local_workers, "spare_worker", nullcontext)
        try:
            yield kept
        finally:
            kept.end()
