"""Workers as processes of this machine, without Ray."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import IO

from cxg_assets.ingest.chunks.worker import IngestJob
from cxg_assets.ingest.chunks.worker_environment import WORKER_ENVIRONMENT
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.resources import local_worker
from cxg_assets.resources.workers import Died, Event, Opened, PoolWorker, SpanEnded, Told

SEND_SECONDS = 60
"""A worker takes what it is given at once, whatever it does. One that does not for so long has stopped."""

_spares: "list[LocalWorker]" = []
"""Processes without a job, of which the next pool takes one."""


@dataclass(eq=False, kw_only=True)
class LocalWorker(PoolWorker):
    """A worker.

    Attributes:
        process: Its process.
        connection: To it and from it.
        stderr: What it has said besides.
    """

    process: subprocess.Popen[bytes]
    connection: Connection
    stderr: IO[bytes]

    def end(self) -> None:
        """Ends its process; what it was making is lost."""
        self.process.kill()
        self.process.wait()
        self.connection.close()
        self.stderr.close()

    def last_words(self) -> str:
        """How its process has ended."""
        code = self.process.wait()
        self.stderr.seek(0)
        lines = self.stderr.read().decode(errors="replace").strip().splitlines()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{how}, {lines[-1]}" if lines else how


class LocalWorkers:
    """The processes of one pool; see `workers.Workers`."""

    advice = "See the memory of the machine"
    no_place = "No worker has opened the Census"

    def __init__(self, job: IngestJob) -> None:
        """Starts nothing yet."""
        self._job = job
        self._workers: dict[Connection, LocalWorker] = {}

    def start(self) -> LocalWorker:
        """Starts a process."""
        worker = start_local_worker(self._job)
        self._workers[worker.connection] = worker
        return worker

    def give(self, worker: PoolWorker, ticket: int, span: Span) -> None:
        """Gives a process a span."""
        assert isinstance(worker, LocalWorker)
        try:
            worker.connection.send((ticket, span))
        except OSError:
            # Dead, or stopped: `wait` tells.
            worker.process.kill()

    def wait(self, seconds: float) -> list[Event]:
        """What processes have to tell."""
        ready = wait(list(self._workers), seconds)
        return [event for connection in ready for event in self._heard(self._workers[connection])]  # type: ignore[index]

    def end(self, worker: PoolWorker) -> None:
        """Ends a process."""
        assert isinstance(worker, LocalWorker)
        self._workers.pop(worker.connection, None)
        worker.end()

    def _heard(self, worker: LocalWorker) -> Iterator[Event]:
        try:
            ticket, told = _receive(worker.connection)
        except (EOFError, OSError):
            reason = worker.last_words()
            self.end(worker)
            yield Died(worker, CxgError(reason))
            return
        if ticket is None:
            yield Opened(worker)
        elif told is None or isinstance(told, Exception):
            yield SpanEnded(ticket, told)
        else:
            yield Told(ticket, told)


def start_local_worker(job: IngestJob) -> LocalWorker:
    """Starts a worker's process, or takes the spare one, and lets it open the Census; waits for neither."""
    worker = _spares.pop() if _spares else _start_process()
    if worker.process.poll() is not None:
        worker.end()
        worker = _start_process()
    try:
        worker.connection.send(job)
    except OSError:
        worker.process.kill()
    return worker


@contextlib.contextmanager
def spare_worker() -> Iterator[None]:
    """The first worker inside the block has begun to import, which takes seconds, when the block begins.

    One alone: more would take the CPUs from what is done until then.
    """
    if _spares:
        yield
        return
    _spares.append(_start_process())
    try:
        yield
    finally:
        while _spares:
            _spares.pop().end()


def _start_process() -> LocalWorker:
    ours, its = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))
    # Malloc's settings count from the start of a process only.
    environment = {**WORKER_ENVIRONMENT, **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
    with its:
        process = subprocess.Popen(
            [sys.executable, "-m", local_worker.__name__, str(its.fileno())],
            pass_fds=[its.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            process_group=0,  # Ctrl-C is for the driver, which ends its workers
        )
    return LocalWorker(process=process, connection=Connection(ours.detach()), stderr=stderr)


def _receive(connection: Connection) -> local_worker.Message:
    return connection.recv()
