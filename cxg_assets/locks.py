"""Locks between processes: the kernel's, on a file. It drops them when a process ends, however that ends."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)
"""How a file system says that it has no locks. Then nobody waits, as before there was a lock."""


@contextlib.contextmanager
def exclusive(file: Path) -> Iterator[None]:
    """Waits until nobody else is in a block with this file, and keeps others waiting during the block.

    Args:
        file: The lock. It and its folder are made where they are missing, and stay: who removed it could let two in.

    Raises:
        OSError: The file cannot be made.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(descriptor)
