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
from cxg_assets.ingest.x.csr import CsrRows
from cxg_assets.ingest.x.reader import XReader


@dataclass(frozen=True)
class _ReadBlock:
    """A block that was read.

    Attributes:
        rows: Its rows.
        seconds: How long that took.
        retries: How often S3 asked to slow down, and how often the block was begun anew.
        nnz_decoded: Non-zeros that TileDB decoded for it.
    """

    rows: CsrRows | PoolRows
    seconds: float
    retries: int
    nnz_decoded: int


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
    def read_seconds(self) -> float:
        """As of `RowFeed`, of all layers."""
        return sum(feed.read_seconds for feed in self._feeds.values())

    @property
    def read_retries(self) -> int:
        """Likewise."""
        return sum(feed.read_retries for feed in self._feeds.values())

    @property
    def nnz_decoded(self) -> float:
        """Likewise."""
        return sum(feed.nnz_decoded for feed in self._feeds.values())

    def close(self) -> None:
        """Waits for the reads under way and drops them."""
        for feed in self._feeds.values():
            feed.close()


class RowFeed:
    """Rows of X in the order that is asked for.

    Attributes:
        read_seconds: Spent reading the rows taken so far: each has an even share of its block's time.
        read_retries: How often requests were repeated because S3 asked to slow down, and blocks were begun anew; of
            the blocks that rows were taken from so far. What else TileDB repeats quietly it does not tell.
        nnz_decoded: Non-zeros that TileDB decoded for the rows taken so far: each has an even share of its block's.
    """

    def __init__(
        self,
        x: XReader,
        joinids: np.ndarray,
        nnz: np.ndarray,
        thread: ThreadPoolExecutor,
        pools: Iterator[PoolBlock] | None = None,
        pieces: PieceReader | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            x: The layer.
            joinids: (n_rows,) int64 soma_joinids.
            nnz: (n_rows,) expected non-zeros of each row.
            thread: Reads; one block at a time.
            pools: Blocks of shuffled cells that are in memory together; None where joinids are in order.
            pieces: What the first of two passes has made of the cells; None where one pass reads X.
        """
        self.read_seconds = 0.0
        self.read_retries = 0
        self.nnz_decoded = 0.0
        self._x = x
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
                self.read_retries += self._block.retries
            rows = self._block.rows
            is_enough = n_rows <= rows.n_rows - self._used
            (then if is_enough and then is not None else self).read_ahead()
            start, stop = self._used, min(self._used + n_rows, rows.n_rows)
            n_rows -= stop - start
            share = (stop - start) / rows.n_rows
            self.read_seconds += self._block.seconds * share
            self.nnz_decoded += self._block.nnz_decoded * share
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
        began, before = time.perf_counter(), self._x.counters
        rows, retries = self._read(block)
        after = self._x.counters
        return _ReadBlock(
            rows=rows,
            seconds=time.perf_counter() - began,
            retries=retries + after.slow_downs - before.slow_downs,
            nnz_decoded=after.nnz_decoded - before.nnz_decoded,
        )

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
