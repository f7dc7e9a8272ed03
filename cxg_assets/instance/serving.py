"""Which `cxg-assets ui` serves an instance: the one that holds the lock, which the kernel drops when it ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from cxg_assets.ingest.errors import BadInput

UI_LOCK = ".cxg-assets-ui.lock"
"""Name of the lock, in the instance's folder. In it: process id and port of who holds it, or held it last."""


@contextlib.contextmanager
def serving(folder: Path, port: int) -> Iterator[None]:
    """Serves the instance of a folder during the block, alone, at a port of 127.0.0.1.

    Raises:
        BadInput: Another process serves it; the message says which, and where.
    """
    descriptor = os.open(folder / UI_LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(_served(folder, os.read(descriptor, 100).decode())) from None
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} {port}\n".encode())
        yield
    finally:
        os.close(descriptor)


def _served(folder: Path, holder: str) -> str:
    pid, _, port = holder.strip().partition(" ")
    if not port:
        return f"another cxg-assets ui is just starting on the Dagster instance in {folder}; use that one"
    return (
        f"cxg-assets ui serves the Dagster instance in {folder} already, as process {pid}: open "
        f"http://127.0.0.1:{port}, or end it first: kill {pid}"
    )
