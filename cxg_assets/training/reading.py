"""Reads the cells of an epoch, many at a time: fetches, decodes and mixes what comes next while batches are handed out.

A buffer is some batches of one reader. Its pieces come from all over the dataset, and each cell is decoded to the place
that it has in its batch: where that is follows from the row pointers of the chunks, which are read first.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxg_assets.ingest.plan.chunk_plan import Chunk
from cxg_assets.training.batch import Batch, CsrBatch
from cxg_assets.training.order.draws import ROWS, shuffled
from cxg_assets.training.order.epoch import Epoch
from cxg_assets.training.row_source import ChunkIndex, Rows, RowSource
from cxg_assets.training.spare_memory import SpareMemory
from cxg_assets.training.transform import Transform

N_FETCHING = 16
"""Requests under way at once at most."""


@dataclass(frozen=True, eq=False)
class Buffer:
    """Decoded cells, in the order in which they are handed out."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    labels: dict[str, np.ndarray]
    joinids: np.ndarray
    n_vars: int

    def batch(self, start: int, stop: int) -> Batch:
        """Cells start … stop-1."""
        first, last = int(self.indptr[start]), int(self.indptr[stop])
        dtype = np.int32 if last - first <= np.iinfo(np.int32).max else np.int64
        x = CsrBatch(
            indptr=(self.indptr[start : stop + 1] - first).astype(dtype),
            indices=self.indices[first:last],
            data=self.data[first:last],
            shape=(stop - start, self.n_vars),
        )
        labels = {name: codes[start:stop] for name, codes in self.labels.items()}
        return Batch(x=x, labels=labels, joinids=self.joinids[start:stop])


@dataclass(frozen=True, eq=False)
class _Planned:
    """A buffer of which it is known where each cell goes, and whose bytes are on their way."""

    indptr: np.ndarray
    pieces: list[tuple[Rows, "Future[Any]"]]
    labels: dict[str, np.ndarray]
    joinids: np.ndarray


class Reading:
    """Fetching and decoding threads over one dataset; `close` ends them. One thread uses it."""

    def __init__(
        self,
        source: RowSource,
        chunks: Sequence[Chunk],
        labels: Sequence[str],
        transform: Transform,
        indexes: dict[int, ChunkIndex],
        n_threads: int | None,
    ) -> None:
        """Starts no thread yet.

        Args:
            source: The files.
            chunks: Of the split; pieces count them.
            labels: Label columns.
            transform: What is done to X.
            indexes: What is known of chunks, by number; filled as they are read.
            n_threads: That decode; None is one for each core of this process.
        """
        self._source, self._chunks, self._labels, self._transform = source, chunks, labels, transform
        self._indexes = indexes
        self._memory = SpareMemory()
        self._stack = contextlib.ExitStack()
        n_threads = n_threads or n_cores()
        self._decoding = self._pool(n_threads, "decode")
        self._fetching = self._pool(N_FETCHING, "fetch")
        self._planning, self._filling = self._pool(1, "plan"), self._pool(1, "fill")

    def close(self) -> None:
        """Ends the threads; what they have begun is thrown away."""
        self._stack.close()

    def buffers(
        self, epoch: Epoch, edges: Sequence[tuple[int, int]], seed: int, number: int, *, shuffle: bool
    ) -> Iterator[Buffer]:
        """Reads ranges of places of an epoch, each as a buffer.

        Args:
            epoch: The epoch.
            edges: First place of each buffer, and one past its last.
            seed: Of the user.
            number: Of the epoch; with it and the first place the order in a buffer is drawn.
            shuffle: Mix the cells of a buffer.
        """

        def plan(place: int) -> "Future[_Planned] | None":
            if place >= len(edges):
                return None
            return self._planning.submit(self._plan, epoch, *edges[place], seed, number, shuffle)

        def fill(planned: "Future[_Planned] | None") -> "Future[Buffer] | None":
            return None if planned is None else self._filling.submit(self._fill, planned)

        filled, following = fill(plan(0)), plan(1)
        for place in range(len(edges)):
            assert filled is not None
            buffer = filled.result()
            # One buffer ahead is decoded, and of one more the bytes are fetched.
            filled, following = fill(following), plan(place + 2)
            yield buffer
            del buffer

    def _plan(self, epoch: Epoch, start: int, stop: int, seed: int, number: int, shuffle: bool) -> _Planned:
        pieces = epoch.pieces(start, stop)
        self._read_indexes(sorted({piece.file for piece in pieces}))
        indexes = [self._indexes[piece.file] for piece in pieces]
        starts = [index.indptr[piece.rows].astype(np.int64) for index, piece in zip(indexes, pieces, strict=True)]
        stops = [index.indptr[piece.rows + 1].astype(np.int64) for index, piece in zip(indexes, pieces, strict=True)]
        lengths = np.concatenate(stops) - np.concatenate(starts)
        order = shuffled(len(lengths), seed, number, ROWS, start) if shuffle else np.arange(len(lengths))
        indptr = np.concatenate([[0], np.cumsum(lengths[order])])
        places = np.empty(len(lengths), np.int64)
        places[order] = indptr[:-1]
        planned: list[tuple[Rows, Future[Any]]] = []
        first = 0
        for index, begin, end in zip(indexes, starts, stops, strict=True):
            rows = Rows(index=index, starts=begin, stops=end, places=places[first : first + len(begin)])
            planned.append((rows, self._fetching.submit(self._source.fetch, rows)))
            first += len(begin)

        def column(name: str | None) -> np.ndarray:
            told = [index.joinids if name is None else index.labels[name] for index in indexes]
            return np.concatenate([values[piece.rows] for values, piece in zip(told, pieces, strict=True)])[order]

        labels = {name: column(name).astype(np.int64) for name in self._labels}
        return _Planned(indptr, planned, labels, column(None))

    def _read_indexes(self, files: Sequence[int]) -> None:
        unknown = [file for file in files if file not in self._indexes]
        if unknown and not self._indexes:
            # What the first one teaches of the layout saves requests for the others.
            first = unknown.pop(0)
            self._indexes[first] = self._source.index(self._chunks[first], self._labels)
        futures = [self._fetching.submit(self._source.index, self._chunks[file], self._labels) for file in unknown]
        for file, future in zip(unknown, futures, strict=True):
            self._indexes[file] = future.result()

    def _fill(self, coming: "Future[_Planned]") -> Buffer:
        planned = coming.result()
        nnz = int(planned.indptr[-1])
        indices, data = self._memory.empty(nnz, np.int32), self._memory.empty(nnz, np.float32)

        def decode(rows: Rows, fetched: "Future[Any]") -> None:
            self._source.decode(rows, fetched.result(), indices, data)

        futures = [self._decoding.submit(decode, *piece) for piece in planned.pieces]
        planned.pieces.clear()
        for future in futures:
            future.result()
        indptr, indices, data = self._transform.apply(planned.indptr, indices, data, self._decoding, self._memory)
        return Buffer(indptr, indices, data, planned.labels, planned.joinids, self._transform.n_kept)

    def _pool(self, n_threads: int, name: str) -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(n_threads, thread_name_prefix=f"cxg-{name}")
        self._stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        return pool


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
