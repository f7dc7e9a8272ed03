"""What reading costs: CPU, bytes and requests, as far as it can be told from the process that reads."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class ReadCounters:
    """What was counted in this process, from its start.

    Attributes:
        slow_downs: How often S3 has asked to slow down (503), and TileDB has repeated the request.
        nnz_decoded: Non-zeros of the tiles that were decoded.
        bytes_read: Bytes as they came, packed.
        requests: Reads of a part of a file, each a GET in S3. Some ten small ones at the start of each fragment of an
            array TileDB answers from what it has read ahead.
    """

    slow_downs: int = 0
    nnz_decoded: int = 0
    bytes_read: int = 0
    requests: int = 0

    def __sub__(self, before: "ReadCounters") -> "ReadCounters":
        """What was counted in between."""
        return ReadCounters(
            **{field.name: getattr(self, field.name) - getattr(before, field.name) for field in fields(self)}
        )


def counters() -> ReadCounters:
    """What TileDB has counted so far: all that this process reads by it, which in a worker is X and the like alone.

    Its counting must have been switched on; to ask takes 0.1 to 0.2 ms.
    """
    import tiledbsoma

    groups = [group.get("counters", {}) for group in tiledbsoma.tiledbsoma_stats_as_py()]

    def total(name: str) -> int:
        return sum(int(group.get(f"Context.{name}", 0)) for group in groups)

    return ReadCounters(
        slow_downs=total("VFS.S3.vfs_s3_slow_down_retries"),
        nnz_decoded=total("Query.Reader.cell_num"),  # a cell of a TileDB array is a value: here, a non-zero
        bytes_read=total("VFS.read_byte_num"),
        requests=total("VFS.read_ops_num"),
    )


class OtherThreads:
    """CPU time of this process without the thread that asks and those that are measured by themselves.

    In a worker that is what reads: TileDB has threads of its own, of which no clock tells, and chunks share blocks. The
    thread that encodes asks with each block, and the difference to the last time is the block's.
    """

    def __init__(self) -> None:
        """Begins now, in the thread that will ask."""
        self._by_themselves = 0.0
        self._last = self._now()

    def lap(self) -> float:
        """Seconds since the last time."""
        before, self._last = self._last, self._now()
        return self._last - before

    @contextmanager
    def left_out(self) -> Iterator[list[float]]:
        """Leaves out what another thread does meanwhile, which gets its CPU seconds as the only element of the list."""
        seconds: list[float] = []
        began = time.thread_time()
        try:
            yield seconds
        finally:
            seconds.append(time.thread_time() - began)
            self._by_themselves += seconds[0]

    def _now(self) -> float:
        return time.process_time() - time.thread_time() - self._by_themselves
