"""Folders for files on their way to or from a store. A killed process leaves its folder; the next one removes it."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "cxg-assets-scratch-"
"""Nobody else names folders so: what has this name and no lock is removed."""


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder below the system's folder for temporary files (`TMPDIR`); removed when the block ends.

    Whoever uses a folder holds a lock on it, which the kernel drops with the process. Folders without one are removed
    first: a census index takes gigabytes, and runs that are killed for want of disk would make it worse each time.
    """
    _remove_abandoned()
    folder, lock = _locked_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder, lock
        # Another process has found it before it was locked.
        os.close(lock)


def _remove_abandoned() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, in use, or gone by now
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)
