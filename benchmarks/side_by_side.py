"""Runs one function in several processes that begin at the same moment, once each has opened what it needs."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

START_SECONDS = 120
"""By then every process has imported and opened what it needs; otherwise the run fails."""

T = TypeVar("T")

_ready: Any = None


def all_ready() -> None:
    """Called by each process when it is about to begin: returns when all are."""
    if _ready is not None:
        _ready.wait(START_SECONDS)


def run_side_by_side(function: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
    """Calls a function once in a fresh process for each tuple of arguments; it has to call `all_ready` once.

    Raises:
        threading.BrokenBarrierError: One of them did not get ready.
    """
    context = multiprocessing.get_context("spawn")
    n_processes = len(arguments)
    with ProcessPoolExecutor(n_processes, context, _share_barrier, (context.Barrier(n_processes),)) as pool:
        return [future.result() for future in [pool.submit(function, *some) for some in arguments]]


def _share_barrier(ready: Any) -> None:
    global _ready
    _ready = ready
