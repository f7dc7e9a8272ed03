"""The chunks of a dataset as h5ad files: the row source of the loader."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxg_assets.ingest.errors import BadInput, CxgError, shown
from cxg_assets.ingest.plan.chunk_plan import Chunk, PlanHeader
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.training.h5ad.block_codec import DamagedBlock, place_block, unpack_values
from cxg_assets.training.h5ad.hdf5_layout import Blocks, Hdf5Layout, UnknownLayout
from cxg_assets.training.h5ad.object_bytes import KeptBytes, KeptFile, ObjectBytes, Range
from cxg_assets.training.row_source import ChunkIndex, Rows

HEAD: Range = (0, 4_096)
"""Holds the superblock and the root group."""

TAIL_BYTES = 64 * 2**10
"""Of the end of a file: obs and the row pointers, which are written last."""

WASTE = 4
"""Blocks between those that are wanted are got with them, unless that makes so many times the bytes."""


@dataclass(frozen=True, eq=False)
class _Places:
    """Where X lies in a file."""

    data: Blocks
    indices: Blocks


@dataclass(frozen=True, eq=False)
class _Fetched:
    """Parts of a file: the first byte of each, and its bytes."""

    starts: list[int]
    parts: list[memoryview]

    def block(self, start: int, n_bytes: int) -> memoryview:
        """A block that lies in one of them."""
        for first, part in zip(self.starts, self.parts, strict=True):
            if first <= start and start + n_bytes <= first + len(part):
                return part[start - first : start - first + n_bytes]
        raise DamagedBlock("the file ends before it")


class ChunkFiles:
    """A `RowSource` of h5ad files."""

    def __init__(self, locator: StoreLocator, header: PlanHeader, n_bytes: Mapping[str, int], repair: str, ingest: str):
        """Nothing is read.

        Args:
            locator: The destination.
            header: Of the plan.
            n_bytes: Sizes of the files, by chunk key.
            repair: The command that makes damaged chunks again.
            ingest: The command that makes missing ones.
        """
        self._locator = locator
        self._header = header
        self._n_bytes = n_bytes
        self._repair, self._ingest = repair, ingest
        # All files begin as copies of the same bytes, so that what describes them lies at the same places.
        self._described: list[Range] = []

    def categories(self, chunk: Chunk, columns: Sequence[str]) -> dict[str, list[str]]:
        """See `RowSource`."""
        if not columns:
            return {}
        import h5py

        with self._named(chunk), h5py.File(KeptFile(KeptBytes(self._bytes(chunk)), self._n_bytes[chunk.key])) as opened:
            file: Any = opened
            obs = file["obs"]
            found = {name for name in obs if isinstance(obs[name], h5py.Group) and "categories" in obs[name]}
            for name in columns:
                if name not in found:
                    problem = "is no column of labels" if name in obs else "is no column of obs"
                    has = ", ".join(sorted(found)) or "no such column"
                    raise BadInput(f"labels: {shown(name)} {problem} of {self._header.subset.name}; there is {has}")
            return {name: [str(value) for value in _texts(obs[name]["categories"])] for name in columns}

    def index(self, chunk: Chunk, labels: Sequence[str]) -> ChunkIndex:
        """See `RowSource`."""
        with self._named(chunk):
            source = self._bytes(chunk)
            kept, n_bytes = KeptBytes(source), self._n_bytes[chunk.key]
            kept.get_ready([HEAD, *self._described, (max(n_bytes - TAIL_BYTES, 0), n_bytes)])
            layout = Hdf5Layout(kept)
            data, indices = layout.blocks("X/data"), layout.blocks("X/indices")
            if not self._described:
                first = int(data.places.min(initial=n_bytes))
                self._described = _joined([part for part in kept.ranges if HEAD[1] <= part[0] < first])
            columns = {name: self._column(kept, layout, f"obs/{name}/codes") for name in labels}
            joinids = self._column(kept, layout, "obs/soma_joinid")
            indptr = self._column(kept, layout, "X/indptr")
            lengths = {len(column) for column in (*columns.values(), joinids, indptr[1:])}
            if lengths != {chunk.n_obs} or data.block != indices.block:
                raise UnknownLayout(f"it has {len(indptr) - 1:,} cells, the plan expects {chunk.n_obs:,}")
            if (
                indptr[0]
                or indptr[-1] != data.n_values
                or data.n_values != indices.n_values
                or (np.diff(indptr) < 0).any()
            ):
                raise UnknownLayout("X/indptr does not fit X/data and X/indices")
            places = _Places(data, indices)
            return ChunkIndex(
                chunk=chunk, indptr=indptr, joinids=joinids.astype(np.int64), labels=columns, places=places
            )

    def fetch(self, rows: Rows) -> _Fetched:
        """See `RowSource`."""
        with self._named(rows.index.chunk):
            source, places = self._bytes(rows.index.chunk), rows.index.places
            ranges = sorted(_stored(blocks, number) for blocks, number in _wanted(places, rows))
            ranges = _worth_joining(ranges)
            parts = source.read_ranges(ranges)
            return _Fetched([start for start, _ in ranges], parts)

    def decode(self, rows: Rows, fetched: _Fetched, indices: np.ndarray, data: np.ndarray) -> None:
        """See `RowSource`."""
        chunk, places = rows.index.chunk, rows.index.places
        compression = self._header.compression
        for blocks, number in _wanted(places, rows):
            name, target = ("data", data) if blocks is places.data else ("indices", indices)
            start, stop = _stored(blocks, number)
            try:
                place_block(fetched.block(start, stop - start), blocks, number, compression, rows, target)
            except DamagedBlock as error:
                raise self._damaged(chunk, f"block {number:,} of X/{name} is damaged: {error}") from error
        if compression != "gzip" and not _are_columns(rows, indices, self._header.subset.n_vars):
            raise self._damaged(chunk, "X/indices has columns that are not there")

    def _column(self, kept: KeptBytes, layout: Hdf5Layout, path: str) -> np.ndarray:
        blocks = layout.blocks(path)
        ranges = [_stored(blocks, number) for number in range(len(blocks.places))]
        kept.get_ready(ranges)
        return unpack_values(
            [kept.read(start, stop - start) for start, stop in ranges], blocks, self._header.compression
        )

    def _bytes(self, chunk: Chunk) -> ObjectBytes:
        return ObjectBytes(self._locator, self._header.path(chunk))

    @contextlib.contextmanager
    def _named(self, chunk: Chunk) -> Iterator[None]:
        """Names the chunk in what is raised."""
        try:
            yield
        except FileNotFoundError as error:
            raise CxgError(f"chunk {chunk.key} is missing: {error}; {self._ingest} writes what is missing") from error
        except KeyError as error:
            raise self._damaged(chunk, f"it has no {error.args[0] if error.args else error}") from error
        except (UnknownLayout, DamagedBlock, UnicodeDecodeError) as error:
            raise self._damaged(chunk, str(error)) from error
        except OSError as error:  # by h5py
            raise self._damaged(chunk, str(error)) from error

    def _damaged(self, chunk: Chunk, problem: str) -> CxgError:
        uri = self._bytes(chunk).uri
        return CxgError(f"chunk {chunk.key}: {uri} is damaged ({problem}); {self._repair} makes it again")


def _are_columns(rows: Rows, indices: np.ndarray, n_vars: int) -> bool:
    """Whether columns are in range: what has no checksum may be anything, and compiled loops go where it says."""
    from cxg_assets.training.loops import are_columns

    return are_columns(rows.starts, rows.stops, rows.places, indices, n_vars)


def _wanted(places: _Places, rows: Rows) -> Iterator[tuple[Blocks, int]]:
    """The blocks that rows lie in, of both arrays, in the order of the file."""
    block = places.data.block
    has_values = rows.stops > rows.starts
    firsts, lasts = rows.starts[has_values] // block, (rows.stops[has_values] - 1) // block
    if not len(firsts):
        return
    # Rows ascend, so that their blocks overlap or follow each other.
    marks = np.zeros(lasts[-1] - firsts[0] + 2, np.int64)
    np.add.at(marks, firsts - firsts[0], 1)
    np.add.at(marks, lasts - firsts[0] + 1, -1)
    for number in (np.flatnonzero(np.cumsum(marks)) + firsts[0]).tolist():
        yield places.data, number
        yield places.indices, number


def _stored(blocks: Blocks, number: int) -> Range:
    start = int(blocks.places[number])
    return start, start + int(blocks.n_bytes[number])


def _worth_joining(ranges: list[Range]) -> list[Range]:
    """One range, where that does not make many more bytes: a request costs as much as a few hundred kilobytes."""
    if not ranges:
        return []
    whole = (ranges[0][0], max(stop for _, stop in ranges))
    n_wanted = sum(stop - start for start, stop in ranges)
    return [whole] if whole[1] - whole[0] <= WASTE * n_wanted else _joined(ranges)


def _joined(ranges: list[Range]) -> list[Range]:
    """Joins what overlaps or touches."""
    joined: list[Range] = []
    for start, stop in sorted(ranges):
        if joined and start <= joined[-1][1] + HEAD[1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def _texts(categories: Any) -> list[Any]:
    """Categories as they are, those of text decoded."""
    import h5py

    is_text = h5py.check_string_dtype(categories.dtype) is not None
    return list(categories.asstr()[()] if is_text else categories[()])
