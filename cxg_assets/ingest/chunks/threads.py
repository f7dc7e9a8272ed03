"""Threads that are there before they are needed."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor


@contextlib.contextmanager
def started_threads(n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """An executor whose threads have all started; it waits for them at the end of the block.

    Python starts a thread and waits for its first sign of life. Where memory has run out meanwhile, the thread dies
    without one, and `start` waits for ever (CPython 3.11, seen in a worker). So workers start theirs while they open.

    Args:
        n_threads: How many.
    """
    with ThreadPoolExecutor(n_threads) as executor:
        all_there = threading.Barrier(n_threads + 1)
        for _ in range(n_threads):
            executor.submit(all_there.wait)
        all_there.wait()
        yield executor
