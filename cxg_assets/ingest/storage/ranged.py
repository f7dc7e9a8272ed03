"""An object in S3 as a file of which only parts are fetched, several at once and ahead of where they are decoded."""

import io
from collections import deque
from collections.abc import Collection, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from cxg_assets.ingest.errors import StoreError
from cxg_assets.ingest.storage.ipc_layout import IpcLayout, Range, footer_bytes

if TYPE_CHECKING:
    from cxg_assets.ingest.storage.store import Store

TAIL_BYTES = 8 * 2**10
"""Of the end of a file, got first: the footer of 150 batches of all columns. Of a longer one the rest is asked for."""

N_AHEAD = 16
"""Batches that are fetched at once at most: a batch takes two or three requests one after the other. Of an index of
the Census each has up to 5 MB."""

GAP_SHARE = 256
"""Parts of a batch that are nearer to each other than this share of it are got by one request, with what is between."""

PADDING_BYTES = 8
"""Of so many bytes the place of every buffer is a multiple."""


class RangedObject:
    """An Arrow IPC file in a store. Whatever is read of it is of the object as it was when this was made."""

    def __init__(self, store: "Store", path: str) -> None:
        """Reads the footer; raises as `Store` does."""
        self._store = store
        self._path = path
        self._kept: dict[Range, bytes] = {}
        tail, self._version = store.get_range(path, -TAIL_BYTES, None)
        self._tail = bytes(tail)
        if len(self._tail) < (n_needed := min(footer_bytes(self._tail), self.n_bytes)):
            self._tail = self._get(self.n_bytes - n_needed, self.n_bytes - len(self._tail)) + self._tail

    @property
    def n_bytes(self) -> int:
        """Its size."""
        return self._version.n_bytes

    def read(self, start: int, stop: int, *, keep: bool = False) -> bytes | memoryview:
        """Bytes start … stop-1; those that are kept come from memory when they are asked for again.

        Raises:
            StoreError: The object is another by now; also as `Store` does.
        """
        place = start - self.n_bytes + len(self._tail)
        if place >= 0:
            return memoryview(self._tail)[place : place + stop - start]
        data = self._kept.get((start, stop)) or self._get(start, stop)
        if keep:
            self._kept[start, stop] = data
        return data

    def _get(self, start: int, stop: int) -> bytes:
        data, version = self._store.get_range(self._path, start, stop)
        if version != self._version:
            raise StoreError(f"{self._store.uri(self._path)} was replaced while it was read; run again")
        return bytes(data)


class RangedFile(io.RawIOBase):
    """A RangedObject as pyarrow reads it: a place in it, and the parts that were fetched for the next batch.

    For one thread; several may read one RangedObject.
    """

    def __init__(self, source: RangedObject) -> None:
        self.source = source
        self._place = 0
        self._parts: dict[Range, bytes | memoryview] = {}

    def read(self, size: int = -1) -> bytes | memoryview:  # pyright: ignore[reportIncompatibleMethodOverride] - no copy
        """Reads on; what was not fetched before is asked for."""
        start, n_bytes = self._place, self.source.n_bytes
        stop = self._place = n_bytes if size < 0 else min(start + size, n_bytes)
        for (first, last), data in self._parts.items():
            if first <= start and stop <= last:
                return memoryview(data)[start - first : stop - first]
        return self.source.read(start, stop)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to another place."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.source.n_bytes}[whence]
        return self._place

    def tell(self) -> int:
        """The place."""
        return self._place

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def fetch(
        self, layout: IpcLayout, numbers: Sequence[int], columns: Collection[str] | None
    ) -> Generator[int, None, None]:
        """Fetches what is needed of batches, ahead of their use: of the first alone, then of ever more at once.

        Yields:
            The number of each batch, when its columns (all with None) can be read without a request.
        """
        head: dict[Range, bytes | memoryview] = {}
        if layout.has_dictionaries and len(numbers):
            # pyarrow reads those of all columns before the first batch.
            head[layout.head] = self.source.read(*layout.head, keep=True)
        waiting: deque[Future[dict[Range, bytes | memoryview]]] = deque()
        n_begun, n_ahead = 0, 1
        with ThreadPoolExecutor(N_AHEAD, thread_name_prefix="ranges") as pool:
            try:
                for number in numbers:
                    for other in numbers[n_begun : n_begun + n_ahead - len(waiting)]:
                        waiting.append(pool.submit(self._parts_of, layout, other, columns))
                        n_begun += 1
                    self._parts = waiting.popleft().result() | head
                    n_ahead = min(2 * n_ahead, N_AHEAD)
                    yield number
            finally:
                self._parts = {}
                pool.shutdown(cancel_futures=True)

    def _parts_of(
        self, layout: IpcLayout, number: int, columns: Collection[str] | None
    ) -> dict[Range, bytes | memoryview]:
        """The description of a batch and the buffers of some of its columns, by their ranges."""
        description, body = layout.description(number), layout.body(number)
        if columns is None:
            whole = (description[0], body[1])
            return {whole: self.source.read(*whole)}
        told = self.source.read(*description, keep=True)
        ranges = coalesced(layout.buffers(number, columns), max((body[1] - body[0]) // GAP_SHARE, PADDING_BYTES))
        return {description: told} | {part: self.source.read(*part) for part in ranges}


def coalesced(ranges: Sequence[Range], gap: int) -> list[Range]:
    """Joins ranges, in order, that are no further apart than a number of bytes."""
    joined: list[Range] = []
    for start, stop in ranges:
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined
