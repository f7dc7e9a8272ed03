"""Where HDF5 has put the blocks of a dataset: read without the HDF5 library, which lets one thread in at a time.

The library would hold its lock while a store is waited for, so that the indexes of many files could not be read side
by side. The format is that of "HDF5 File Format Specification Version 3.0", of which our writer uses the oldest forms:
superblock 0, symbol tables, object headers 1 and 2, chunks in B-trees 1.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Bytes(Protocol):
    """The bytes of a file."""

    def read(self, start: int, n_bytes: int) -> bytes:
        """So many bytes from a place on; fewer where the file ends."""
        ...

    def get_ready(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Told of ranges (first byte, one past the last) that are read next, to get them side by side."""
        ...


_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ROOT_HEADER = 64
"""Place of the root group's address, in superblock 0."""

_NODE_BYTES, _ENTRY_BYTES = 24, 40
_CHILD = np.dtype([("n_bytes", "<u4"), ("mask", "<u4"), ("element", "<u8"), ("zero", "<u8"), ("place", "<u8")])
_LEAVES = np.dtype([("name", "<u8"), ("place", "<u8")])
_SYMBOL = np.dtype([("name", "<u8"), ("header", "<u8"), ("cached", "<u4", 2), ("scratch", "<u8", 2)])

_DATASPACE, _DATATYPE, _LAYOUT, _CONTINUATION, _SYMBOL_TABLE = 0x01, 0x03, 0x08, 0x10, 0x11
_MOST_LEVELS = 8

_CHUNK_NODE_BYTES = 2_096
"""Of a node of 64 blocks, as HDF5 makes them by default."""


class UnknownLayout(ValueError):
    """It is no HDF5 file of this kind, or it is damaged."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks of a one-dimensional dataset.

    Attributes:
        n_values: Its elements.
        dtype: Of an element.
        block: Elements of a block, also of the last.
        places: (n_blocks,) int64, first byte in the file.
        n_bytes: (n_blocks,) int64, as stored.
        masks: (n_blocks,) uint32, a bit for each filter that was left out.
    """

    n_values: int
    dtype: np.dtype
    block: int
    places: np.ndarray
    n_bytes: np.ndarray
    masks: np.ndarray


class Hdf5Layout:
    """The groups and datasets of one file.

    Every method raises `UnknownLayout` for what it does not understand, and as `source` does.
    """

    def __init__(self, source: Bytes) -> None:
        """Looks at the beginning of a file."""
        self._source = source
        head = source.read(0, _ROOT_HEADER + 8)
        if len(head) < _ROOT_HEADER + 8 or head[:8] != _SIGNATURE or head[8] != 0 or head[13] != 8 or head[14] != 8:
            raise UnknownLayout("it has no HDF5 superblock of version 0")
        self._groups = {"": self._members(_number(head, _ROOT_HEADER))}

    def blocks(self, path: str) -> Blocks:
        """The blocks of a dataset; KeyError where there is none of this path."""
        messages = self._messages(self._header(path))
        try:
            space, kind, layout = (messages[number] for number in (_DATASPACE, _DATATYPE, _LAYOUT))
        except KeyError as error:
            raise UnknownLayout(f"{path} is not a dataset") from error
        if space[1] != 1 or layout[:3] != b"\x03\x02\x02":
            raise UnknownLayout(f"{path} is not a row of blocks")
        n_values = _number(space, 8 if space[0] == 1 else 4)
        tree = _number(layout, 3)
        block, item = struct.unpack_from("<II", layout, 11)
        dtype = _dtype(kind)
        if dtype.itemsize != item:
            raise UnknownLayout(f"{path} has elements of {item} bytes")
        found = self._children(tree) if n_values else np.empty(0, _CHILD)
        found = found[found["element"] < n_values]
        expected = np.arange(0, n_values, block, dtype=np.uint64)
        if not np.array_equal(found["element"], expected):
            raise UnknownLayout(f"{path} has {len(found)} blocks of {len(expected)}")
        places, n_bytes = found["place"].astype(np.int64), found["n_bytes"].astype(np.int64)
        return Blocks(n_values, dtype, block, places, n_bytes, found["mask"].copy())

    def _header(self, path: str) -> int:
        group, _, name = path.rpartition("/")
        if group not in self._groups:
            self._groups[group] = self._members(self._header(group))
        return self._groups[group][name]

    def _messages(self, place: int) -> dict[int, bytes]:
        """The first message of each kind of an object header."""
        head = self._exactly(place, 12)
        messages: dict[int, bytes] = {}
        if head[:5] == b"OHDR\2":
            flags = head[5]
            start = place + 6 + (16 if flags & 32 else 0) + (4 if flags & 16 else 0)
            n_size = 1 << (flags & 3)
            n_bytes = int.from_bytes(self._exactly(start, n_size), "little")
            parts = [(start + n_size, n_bytes)]
            prefix, margin = (6 if flags & 4 else 4), 4
        elif head[0] == 1:
            parts, prefix, margin = [(place + 16, int.from_bytes(head[8:12], "little"))], 8, 0
        else:
            raise UnknownLayout("an object header is damaged, or of a later version")
        while parts:
            start, n_bytes = parts.pop(0)
            part, at = self._exactly(start, n_bytes), 0
            while at + prefix <= n_bytes:
                kind, size = (part[at], part[at + 1 : at + 3]) if margin else (part[at], part[at + 2 : at + 4])
                n_body = int.from_bytes(size, "little")
                body = part[at + prefix : at + prefix + n_body]
                if kind == _CONTINUATION:
                    further, n_further = struct.unpack("<QQ", body[:16])
                    # In the later form a signature comes first, and a checksum last.
                    parts.append((further + margin, n_further - 2 * margin))
                messages.setdefault(kind, body)
                at += prefix + n_body
        return messages

    def _members(self, place: int) -> dict[str, int]:
        """Places of the headers of what is in a group, by name."""
        messages = self._messages(place)
        if _SYMBOL_TABLE not in messages:
            raise UnknownLayout("a group without a symbol table")
        tree, heap = struct.unpack("<QQ", messages[_SYMBOL_TABLE][:16])
        head = self._exactly(heap, 32)
        if head[:4] != b"HEAP":
            raise UnknownLayout("a group without names")
        names = self._exactly(_number(head, 24), _number(head, 8))
        members: dict[str, int] = {}
        for leaf in self._leaves(tree):
            head = self._exactly(leaf, 8)
            if head[:4] != b"SNOD":
                raise UnknownLayout("a group without entries")
            n_symbols = int.from_bytes(head[6:8], "little")
            symbols = np.frombuffer(self._exactly(leaf + 8, n_symbols * _ENTRY_BYTES), _SYMBOL)
            for name, header in zip(symbols["name"].tolist(), symbols["header"].tolist(), strict=True):
                members[names[name : names.index(b"\0", name)].decode()] = header
        return members

    def _leaves(self, place: int) -> list[int]:
        level, n_used = self._node(place, kind=0)
        # A name, then a child and the name after it.
        told = np.frombuffer(self._exactly(place + _NODE_BYTES, n_used * 16), _LEAVES)["place"].tolist()
        return told if level == 0 else [leaf for child in told for leaf in self._leaves(child)]

    def _children(self, place: int) -> np.ndarray:
        """The blocks below a node of a B-tree, in order."""
        level, n_used = self._node(place, kind=1)
        told = np.frombuffer(self._exactly(place + _NODE_BYTES, n_used * _CHILD.itemsize), _CHILD)
        if level == 0 or not n_used:
            return told
        children = told["place"].tolist()
        self._source.get_ready([(child, child + _CHUNK_NODE_BYTES) for child in children])
        return np.concatenate([self._children(child) for child in children])

    def _node(self, place: int, kind: int) -> tuple[int, int]:
        """Level and number of children of a node."""
        signature, found, level, n_used = struct.unpack("<4sBBH", self._exactly(place, 8))
        if signature != b"TREE" or found != kind or level > _MOST_LEVELS:
            raise UnknownLayout("a node of an index is damaged")
        return level, n_used

    def _exactly(self, place: int, n_bytes: int) -> bytes:
        data = self._source.read(place, n_bytes)
        if len(data) < n_bytes:
            raise UnknownLayout("it ends too early")
        return data


def _number(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 8], "little")


def _dtype(message: bytes) -> np.dtype:
    kind, signed, size = message[0] & 15, message[1] & 8, int.from_bytes(message[4:8], "little")
    if kind not in (0, 1) or message[1] & 1 or size not in (1, 2, 4, 8):
        raise UnknownLayout("elements are no little-endian numbers")
    return np.dtype(f"<f{size}" if kind == 1 else f"<i{size}" if signed else f"<u{size}")
