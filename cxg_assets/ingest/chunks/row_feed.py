"""Rows of X and other arrays for chunks: the next block of rows is read while one is used."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np

from cxg_assets.ingest.pools.packed_rows import pack
from cxg_assets.ingest.pools.pieces import PieceReader
from cxg_assets.ingest.pools.pool_rows import PoolBlock, PoolRows, tile_blocks
from cxg_assets.ingest.x.blocks import Block, plan_blocks
from cxg_assets.ingest.x.costs import OtherThreads, ReadCounters, counters
from cxg_assets.ingest.x.csr import CsrRows
from cxg_assets.ingest.x.reader import XReader


@dataclass(frozen=True)
class _ReadBlock:
    """A block that was read.

    Attributes:
        rows: Its rows.
        seconds: How long that took.
        retries: How often it was begun anew.
        counted: What was counted meanwhile.
    """

    rows: CsrRows | PoolRows
    seconds: float
    retries: int
    counted: ReadCounters


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What the rows taken so far took; each row has an even share of its block's.

    Attributes:
        seconds: Spent reading.
        retries: How often requests were repeated because S3 asked to slow down, and blocks were begun anew; of the
            blocks that rows were taken from so far. What else TileDB repeats quietly it does not tell.
        cpu_seconds: CPU of all threads but the one that takes and those that store, from the block before to the one of
            the rows.
        nnz_decoded: Non-zeros that TileDB decoded for them.
        bytes_read: Bytes that were read, packed; of pieces those of the pieces.
        requests: Requests for them.
    """

    seconds: float = 0.0
    retries: int = 0
    cpu_seconds: float = 0.0
    nnz_decoded: float = 0.0
    bytes_read: float = 0.0
    requests: float = 0.0

    def __add__(self, more: "Taken") -> "Taken":
        """Both."""
        return Taken(**{name: value + getattr(more, name) for name, value in vars(self).items()})

    def __sub__(self, before: "Taken") -> "Taken":
        """What was taken since."""
        return Taken(**{name: value - getattr(before, name) for name, value in vars(self).items()})


class LayerFeeds:
    """The feeds of X, further layers and obsm of the same cells, by their paths in a chunk."""

    def __init__(self) -> None:
        self._feeds: dict[str, RowFeed] = {}

    def add(self, path: str, feed: "RowFeed") -> None:
        """Adds one; chunks get them in the order in which they are added. The first begins to read."""
        self._feeds[path] = feed
        if len(self._feeds) == 1:
            feed.read_ahead()

    def take(self, n_rows: int) -> Iterator[tuple[str, CsrRows]]:
        """The next rows of each, one array after the other, in pieces; raises CxgError as `RowFeed.take`.

        Each array has tiles of its own, and a feed goes on where it was, so no tile is decoded twice for that.
        """
        feeds = list(self._feeds.values())
        for path, feed, then in zip(self._feeds, feeds, [*feeds[1:], feeds[0]], strict=True):
            for rows in feed.take(n_rows, then):
                yield path, rows

    @property
    def taken(self) -> "Taken":
        """What the rows taken so far took, of all layers."""
        return sum((feed.taken for feed in self._feeds.values()), Taken())

    def close(self) -> None:
        """Waits for a read under way and drops it."""
        for feed in self._feeds.values():
            feed.close()


class RowFeed:
    """Rows of X in the order that is asked for.

    Attributes:
        taken: What the rows taken so far took.
    """

    def __init__(
        self,
        x: XReader,
        joinids: np.ndarray,
        nnz: np.ndarray,
        thread: ThreadPoolExecutor,
        others: OtherThreads,
        pools: Iterator[PoolBlock] | None = None,
        pieces: PieceReader | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            x: The layer.
            joinids: (n_rows,) int64 soma_joinids.
            nnz: (n_rows,) expected non-zeros of each row.
            thread: Reads; one block at a time.
            others: Of the thread that takes, which all feeds of the same cells share.
            pools: Blocks of shuffled cells that are in memory together; None where joinids are in order.
            pieces: What the first of two passes has made of the cells; None where one pass reads X.
        """
        self.taken = Taken()
        self._x = x
        self._others = others
        self._block_cpu = 0.0
        self._joinids, self._nnz = joinids, nnz
        self._blocks = plan_blocks(joinids, nnz) if pools is None else pools
        self._pieces = pieces
        self._thread = thread
        self._next: Future[_ReadBlock] | None = None
        self._block: _ReadBlock | None = None
        self._used = 0

    def read_ahead(self) -> None:
        """Begins to read the next block, unless it has begun."""
        if self._next is None:
            self._next = self._read_next()

    def take(self, n_rows: int, then: "RowFeed | None" = None) -> Iterator[CsrRows]:
        """The next rows, in pieces.

        While the last of them are used, the next block of `then` is read, or without it the next of its own: of several
        feeds in turn one block at a time is read ahead.

        Raises:
            CxgError: They could not be read.
        """
        while n_rows:
            if self._block is None:
                self.read_ahead()
                assert self._next is not None  # the chunks ask for as many rows as there are joinids
                self._block = self._next.result()
                self._next = None
                self._used = 0
                self._block_cpu = self._others.lap()
                self.taken += Taken(retries=self._block.retries + self._block.counted.slow_downs)
            rows = self._block.rows
            is_enough = n_rows <= rows.n_rows - self._used
            (then if is_enough and then is not None else self).read_ahead()
            start, stop = self._used, min(self._used + n_rows, rows.n_rows)
            n_rows -= stop - start
            share = (stop - start) / rows.n_rows
            counted = self._block.counted
            self.taken += Taken(
                seconds=self._block.seconds * share,
                cpu_seconds=self._block_cpu * share,
                nnz_decoded=counted.nnz_decoded * share,
                bytes_read=counted.bytes_read * share,
                requests=counted.requests * share,
            )
            self._used = stop
            if stop == rows.n_rows:
                self._block = None
            yield from rows.cut(start, stop)

    def close(self) -> None:
        """Waits for a read under way and drops it."""
        if self._next is not None and not self._next.cancel():
            wait([self._next])

    def _read_next(self) -> Future[_ReadBlock] | None:
        block = next(self._blocks, None)
        if block is None:
            return None
        return self._thread.submit(self._read_block, block)

    def _read_block(self, block: Block) -> _ReadBlock:
        began, before = time.perf_counter(), self._counted()
        rows, retries = self._read(block)
        seconds = time.perf_counter() - began
        return _ReadBlock(rows=rows, seconds=seconds, retries=retries, counted=self._counted() - before)

    def _counted(self) -> ReadCounters:
        return counters() if self._pieces is None else self._pieces.counted

    def _read(self, block: Block) -> tuple[CsrRows | PoolRows, int]:
        """Rows, and how often reading them was begun anew."""
        joinids, nnz = (values[block.start : block.stop] for values in (self._joinids, self._nnz))
        if not isinstance(block, PoolBlock):
            return self._x.read_patiently(joinids)
        if self._pieces is not None:
            return self._pieces.read(block.pool, joinids), 0
        return self._read_pool(joinids, nnz)

    def _read_pool(self, joinids: np.ndarray, nnz: np.ndarray) -> tuple[PoolRows, int]:
        in_order = np.argsort(joinids)
        joinids, nnz = joinids[in_order], nnz[in_order]
        pieces, n_retries = [], 0
        for block in tile_blocks(joinids, nnz):
            rows, retries = self._x.read_patiently(joinids[block.start : block.stop])
            pieces.append(pack(rows))
            n_retries += retries
        order = np.empty_like(in_order)
        order[in_order] = np.arange(len(order))
        return PoolRows(pieces, order, self._x.dtype), n_retries
