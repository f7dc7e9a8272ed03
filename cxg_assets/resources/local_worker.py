"""The process of a worker on this machine: `python -m cxg_assets.resources.local_worker FD`.

It is a program of its own and no child of `multiprocessing`, which would import the driver's main module again:
Dagster's begins a second Dagster.
"""

import contextlib
import os
import pickle
import sys
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue

from cxg_assets.ingest.chunks.report import Result
from cxg_assets.ingest.chunks.worker import IngestJob, Worker, import_ahead
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.plan.spans import Span

Message = tuple[int | None, Result | Exception | None]
"""What a worker tells: the ticket of a span and a result of it, the error that ended it, or None at its end. Without a
ticket: it is open."""


def serve(connection: Connection) -> None:
    """Takes a job and opens it, then makes the spans that come, in their order, or takes another job."""
    given: SimpleQueue[IngestJob | tuple[int, Span]] = SimpleQueue()
    threading.Thread(target=_receive, args=(connection, given), daemon=True).start()
    worker: Worker | None = None
    with contextlib.suppress(Exception):  # the job meets it again
        import_ahead()
    while True:
        task = given.get()
        if isinstance(task, IngestJob):
            if worker is not None:
                worker.close()
            worker = Worker(task)
            with contextlib.suppress(Exception):  # the first span tells why
                worker.open()
            connection.send((None, None))
            continue
        assert worker is not None  # a job comes first
        ticket, span = task
        try:
            for result in worker.run(span):
                connection.send((ticket, result))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is the end of this span
            connection.send((ticket, _portable(error)))
        else:
            connection.send((ticket, None))


def _receive(connection: Connection, given: "SimpleQueue[IngestJob | tuple[int, Span]]") -> None:
    """Always takes what comes, so that the driver never waits for a worker; ends the process with its driver."""
    while True:
        try:
            given.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)


def _portable(error: Exception) -> Exception:
    """The error itself, if it comes out as it went in on the other side; else its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - errors of libraries fail in their own ways
        return CxgError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
