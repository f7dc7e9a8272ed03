"""Rows of X in order, with the next block being read while this one is used."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np

from cxg_assets.ingest.chunks.csr import CsrRows
from cxg_assets.ingest.chunks.reader import XReader, plan_blocks
from cxg_assets.ingest.errors import Unreachable
from cxg_assets.ingest.storage.retry import Patience

PATIENCE = Patience(limit_seconds=120.0)
"""For one block, on top of TileDB's own retries of each request."""


@dataclass(frozen=True)
class _Block:
    """A block that was read.

    Attributes:
        rows: Its rows.
        seconds: How long that took.
        retries: How often S3 asked to slow down, and how often the block was begun anew.
        nnz_decoded: Non-zeros that TileDB decoded for it.
    """

    rows: CsrRows
    seconds: float
    retries: int
    nnz_decoded: int


class RowFeed:
    """Rows of X in the order of their joinids.

    Attributes:
        read_seconds: Spent reading the rows taken so far: each has an even share of its block's time.
        read_retries: How often requests were repeated because S3 asked to slow down, and blocks were begun anew; of
            the blocks that rows were taken from so far. What else TileDB repeats quietly it does not tell.
        nnz_decoded: Non-zeros that TileDB decoded for the rows taken so far: each has an even share of its block's.
    """

    def __init__(self, x: XReader, joinids: np.ndarray, nnz: np.ndarray, thread: ThreadPoolExecutor) -> None:
        """Begins to read the first block.

        Args:
            x: The layer.
            joinids: (n_rows,) int64 soma_joinids.
            nnz: (n_rows,) expected non-zeros of each row.
            thread: Reads; one block at a time.
        """
        self.read_seconds = 0.0
        self.read_retries = 0
        self.nnz_decoded = 0.0
        self._x = x
        self._joinids = joinids
        self._blocks = plan_blocks(joinids, nnz)
        self._thread = thread
        self._next = self._read_next()
        self._block: _Block | None = None
        self._used = 0

    def take(self, n_rows: int) -> Iterator[CsrRows]:
        """The next rows, in pieces.

        Raises:
            CxgError: They could not be read.
        """
        while n_rows:
            if self._block is None:
                assert self._next is not None  # the chunks ask for as many rows as there are joinids
                self._block = self._next.result()
                self._used = 0
                self.read_retries += self._block.retries
                self._next = self._read_next()
            rows = self._block.rows
            start, stop = self._used, min(self._used + n_rows, rows.n_rows)
            n_rows -= stop - start
            share = (stop - start) / rows.n_rows
            self.read_seconds += self._block.seconds * share
            self.nnz_decoded += self._block.nnz_decoded * share
            self._used = stop
            if stop == rows.n_rows:
                self._block = None
            yield rows.rows(start, stop)

    def close(self) -> None:
        """Waits for a read under way and drops it."""
        if self._next is not None and not self._next.cancel():
            wait([self._next])

    def _read_next(self) -> Future[_Block] | None:
        block = next(self._blocks, None)
        return None if block is None else self._thread.submit(self._read, self._joinids[block.start : block.stop])

    def _read(self, joinids: np.ndarray) -> _Block:
        began, before = time.perf_counter(), self._x.counters
        rows, retries = PATIENCE.call(lambda: self._x.read(joinids), _passes)
        after = self._x.counters
        return _Block(
            rows=rows,
            seconds=time.perf_counter() - began,
            retries=retries + after.slow_downs - before.slow_downs,
            nnz_decoded=after.nnz_decoded - before.nnz_decoded,
        )


def _passes(error: Exception) -> bool:
    return isinstance(error, Unreachable)
