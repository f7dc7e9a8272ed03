"""Where the parts of an Arrow IPC file lie, so that only those that are needed are fetched from far away.

pyarrow decodes such files, and reads of a batch only the buffers of the columns asked for, but one after the other and
without telling beforehand which. The format is that of the Arrow columnar format 1.x, "IPC File Format": flatbuffers
tables (File.fbs, Message.fbs), of which the few fields below are read.
"""

import struct
from collections.abc import Callable, Collection
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pyarrow as pa

Range: TypeAlias = tuple[int, int]
"""First byte, and one past the last."""

_BLOCK = np.dtype([("offset", "<i8"), ("n_metadata", "<i4"), ("padding", "<i4"), ("n_body", "<i8")])
_BUFFER = np.dtype([("offset", "<i8"), ("n_bytes", "<i8")])
_END = struct.Struct("<i6s")
"""Of a file: the length of its footer, and `ARROW1`."""

MAGIC_BYTES = 8
"""Before the schema: `ARROW1` and two zeros. What follows, up to the first batch, is how a stream begins."""

_PREFIX_BYTES = 8
"""Before the flatbuffer of a message: a mark and its length."""

_FOOTER_DICTIONARIES, _FOOTER_BATCHES = 2, 3
_MESSAGE_HEADER, _MESSAGE_NOTE = 2, 4
_KEY, _VALUE = 0, 1
_BATCH_LENGTH, _BATCH_BUFFERS = 0, 2


def footer_bytes(tail: bytes | memoryview) -> int:
    """Bytes of the footer of a file, by the last bytes of the file."""
    if len(tail) < _END.size:
        return 0
    n_footer, _ = _END.unpack(tail[-_END.size :])
    return max(n_footer, 0) + _END.size


class IpcLayout:
    """The layout of one file.

    Attributes:
        head: The schema and the dictionaries of all columns, before the first batch.
        has_dictionaries: There are any.
    """

    def __init__(self, read: Callable[[int, int], bytes | memoryview], n_bytes: int, schema: pa.Schema) -> None:
        """Reads the footer of a file of n_bytes, which pyarrow has opened: it is one."""
        self._read = read
        self._schema = schema
        start = n_bytes - footer_bytes(read(n_bytes - _END.size, n_bytes))
        footer = read(start, n_bytes)
        root = _follow(footer, 0)
        self._blocks = _structs(footer, _field(footer, root, _FOOTER_BATCHES), _BLOCK)
        self.has_dictionaries = len(_structs(footer, _field(footer, root, _FOOTER_DICTIONARIES), _BLOCK)) > 0
        self.head: Range = (0, int(self._blocks["offset"].min()) if len(self._blocks) else start)

    @cached_property
    def rows_per_batch(self) -> int:
        """Rows of every batch but the last; 0 without batches."""
        return self._n_rows(0) if len(self._blocks) else 0

    @cached_property
    def n_rows(self) -> int:
        """Rows of all batches."""
        last = len(self._blocks) - 1
        return last * self.rows_per_batch + self._n_rows(last) if len(self._blocks) else 0

    @property
    def note(self) -> dict[str, str]:
        """What the last batch says besides its rows."""
        if not len(self._blocks):
            return {}
        message, _ = self._batch(len(self._blocks) - 1)
        pairs = _tables(message, _field(message, _follow(message, 0), _MESSAGE_NOTE))
        return {_text(message, pair, _KEY): _text(message, pair, _VALUE) for pair in pairs}

    def description(self, number: int) -> Range:
        """Where the lengths and places of a batch's buffers are told."""
        block = self._blocks[number]
        return int(block["offset"]), int(block["offset"] + block["n_metadata"])

    def body(self, number: int) -> Range:
        """Where all buffers of a batch lie."""
        _, start = self.description(number)
        return start, start + int(self._blocks[number]["n_body"])

    def buffers(self, number: int, columns: Collection[str]) -> list[Range]:
        """Where the buffers of some columns of a batch lie, in the order of the file."""
        message, batch = self._batch(number)
        buffers = _structs(message, _field(message, batch, _BATCH_BUFFERS), _BUFFER)
        counts = [field.type.num_buffers for field in self._schema]
        if sum(counts) != len(buffers):
            return [self.body(number)]  # nested columns have more; none of the Census is
        start, _ = self.body(number)
        firsts = np.cumsum([0, *counts])
        wanted = [place for place, name in enumerate(self._schema.names) if name in columns]
        found = [buffer for place in wanted for buffer in buffers[firsts[place] : firsts[place + 1]].tolist()]
        return [(start + offset, start + offset + n_bytes) for offset, n_bytes in found if n_bytes]

    def _n_rows(self, number: int) -> int:
        message, batch = self._batch(number)
        place = _field(message, batch, _BATCH_LENGTH)
        return int.from_bytes(message[place : place + 8], "little") if place else 0

    def _batch(self, number: int) -> tuple[bytes | memoryview, int]:
        """The flatbuffer of a batch's message, and where in it the table of the batch is."""
        message = self._read(*self.description(number))[_PREFIX_BYTES:]
        return message, _follow(message, _field(message, _follow(message, 0), _MESSAGE_HEADER))


def _follow(buffer: bytes | memoryview, place: int) -> int:
    """Where the offset at a place points to."""
    return place + int.from_bytes(buffer[place : place + 4], "little")


def _field(buffer: bytes | memoryview, table: int, number: int) -> int:
    """Where a field of a table is; 0 where it is left out."""
    vtable = table - struct.unpack_from("<i", buffer, table)[0]
    (n_bytes,) = struct.unpack_from("<H", buffer, vtable)
    if 4 + 2 * number >= n_bytes:
        return 0
    (offset,) = struct.unpack_from("<H", buffer, vtable + 4 + 2 * number)
    return table + offset if offset else 0


def _vector(buffer: bytes | memoryview, place: int) -> tuple[int, int]:
    """Where a vector begins and how many elements it has; 0 where the field is left out."""
    if not place:
        return 0, 0
    start = _follow(buffer, place)
    return start + 4, int.from_bytes(buffer[start : start + 4], "little")


def _structs(buffer: bytes | memoryview, place: int, dtype: np.dtype) -> np.ndarray:
    """The structs of a vector."""
    start, n_structs = _vector(buffer, place)
    return np.frombuffer(buffer, dtype, n_structs, start)


def _tables(buffer: bytes | memoryview, place: int) -> list[int]:
    """Where the tables of a vector are."""
    start, n_tables = _vector(buffer, place)
    return [_follow(buffer, start + 4 * number) for number in range(n_tables)]


def _text(buffer: bytes | memoryview, table: int, number: int) -> str:
    """The text in a field of a table."""
    start, n_octets = _vector(buffer, _field(buffer, table, number))
    return bytes(buffer[start : start + n_octets]).decode()
