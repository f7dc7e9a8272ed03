"""The chunks of a dataset as the datasets of a zarr collection: a row source of the loader."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxg_assets.ingest.chunks.zarr.encoder import TOLD
from cxg_assets.ingest.chunks.zarr.nodes import Json, unpack_numbers, unpack_texts
from cxg_assets.ingest.chunks.zarr.shards import index_bytes, unpack_index
from cxg_assets.ingest.errors import BadInput, CxgError, shown
from cxg_assets.ingest.plan.chunk_plan import Chunk, PlanHeader
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.training.h5ad.object_bytes import ObjectBytes, Range
from cxg_assets.training.row_source import ChunkIndex, Rows

MARKER_BYTES = 1 << 20
"""More than a marker has: 50 KB for some ten columns."""


@dataclass(frozen=True, eq=False)
class _Array:
    """One of the two long arrays of X.

    Attributes:
        node: What unpacks a block.
        block: Values of a block.
        per_shard: Blocks of a shard.
        places: (n_blocks, 2) int64, place and size of each block in its shard.
    """

    node: Json
    block: int
    per_shard: int
    places: np.ndarray


class ChunkFolders:
    """A `RowSource` of zarr chunks."""

    def __init__(self, locator: StoreLocator, header: PlanHeader, repair: str, ingest: str) -> None:
        """Nothing is read.

        Args:
            locator: The destination.
            header: Of the plan.
            repair: The command that makes damaged chunks again.
            ingest: The command that makes missing ones.
        """
        self._locator, self._header = locator, header
        self._repair, self._ingest = repair, ingest

    def categories(self, chunk: Chunk, columns: Sequence[str]) -> dict[str, list[str]]:
        """See `RowSource`."""
        if not columns:
            return {}
        with self._named(chunk):
            nodes, sizes = self._told(chunk)
            found = {name.split("/")[1] for name in nodes if name.startswith("obs/") and name.endswith("/categories")}
            for name in columns:
                if name not in found:
                    problem = "is no column of labels" if f"obs/{name}" in nodes else "is no column of obs"
                    has = ", ".join(sorted(found)) or "no such column"
                    raise BadInput(f"labels: {shown(name)} {problem} of {self._header.subset.name}; there is {has}")
            return {name: self._categories(chunk, f"obs/{name}/categories", nodes, sizes) for name in columns}

    def index(self, chunk: Chunk, labels: Sequence[str]) -> ChunkIndex:
        """See `RowSource`."""
        with self._named(chunk):
            nodes, sizes = self._told(chunk)
            indptr, joinids, *columns = (
                unpack_numbers(nodes[path], self._whole(chunk, path, sizes))
                for path in ("X/indptr", "obs/soma_joinid", *(f"obs/{name}/codes" for name in labels))
            )
            arrays = [self._array(chunk, name, nodes, sizes) for name in ("data", "indices")]
            lengths = {len(column) for column in (*columns, joinids, indptr[1:])}
            if lengths != {chunk.n_obs}:
                raise ValueError(f"it has {len(indptr) - 1:,} cells, the plan expects {chunk.n_obs:,}")
            n_values = {nodes[f"X/{name}"]["shape"][0] for name in ("data", "indices")}
            if indptr[0] or {int(indptr[-1])} != n_values or (np.diff(indptr) < 0).any():
                raise ValueError("X/indptr does not fit X/data and X/indices")
            return ChunkIndex(
                chunk=chunk,
                indptr=indptr,
                joinids=joinids.astype(np.int64),
                labels=dict(zip(labels, columns, strict=True)),
                places=tuple(arrays),
            )

    def fetch(self, rows: Rows) -> list[dict[int, memoryview]]:
        """See `RowSource`. Gives the blocks by number: of data, and of indices."""
        with self._named(rows.index.chunk):
            return [
                self._blocks(rows.index.chunk, name, array, _wanted(rows, array.block))
                for name, array in zip(("data", "indices"), rows.index.places, strict=True)
            ]

    def decode(self, rows: Rows, fetched: list[dict[int, memoryview]], indices: np.ndarray, data: np.ndarray) -> None:
        """See `RowSource`."""
        from cxg_assets.training.loops import are_columns, place_values

        for array, blocks, target in zip(rows.index.places, fetched, (data, indices), strict=True):
            for number, packed in blocks.items():
                with self._named(rows.index.chunk):
                    values = unpack_numbers(array.node, packed)
                    if len(values) != array.block:
                        raise ValueError(f"block {number:,} of X has {len(values):,} values")
                place_values(values, number * array.block, rows.starts, rows.stops, rows.places, target)
        # lz4 has no checksum, and compiled loops go where a column says.
        with self._named(rows.index.chunk):
            if not are_columns(rows.starts, rows.stops, rows.places, indices, self._header.subset.n_vars):
                raise ValueError("X/indices has columns that are not there")

    def _told(self, chunk: Chunk) -> tuple[dict[str, Json], dict[str, int]]:
        """What the marker tells: all nodes by path, and the size of each object by name."""
        marker = json.loads(ObjectBytes(self._locator, self._header.marker(chunk)).read(0, MARKER_BYTES))
        told = marker["attributes"][TOLD]
        if told["fingerprint"] != chunk.fingerprint:
            raise ValueError("it was made from other inputs")
        sizes = {name: n_bytes for name, (n_bytes, _) in told["objects"].items()}
        return marker["consolidated_metadata"]["metadata"], sizes

    def _categories(self, chunk: Chunk, path: str, nodes: dict[str, Json], sizes: dict[str, int]) -> list[str]:
        data = self._whole(chunk, path, sizes)
        if nodes[path]["data_type"] == "string":
            return unpack_texts(nodes[path], data)
        return [str(value) for value in unpack_numbers(nodes[path], data)]

    def _array(self, chunk: Chunk, name: str, nodes: dict[str, Json], sizes: dict[str, int]) -> _Array:
        node = nodes[f"X/{name}"]
        [sharding] = (codec["configuration"] for codec in node["codecs"])
        [block], [shard_size] = sharding["chunk_shape"], node["chunk_grid"]["configuration"]["chunk_shape"]
        n_blocks, per_shard, indexes = -(-node["shape"][0] // block), shard_size // block, [np.empty((0, 2), np.uint64)]
        for shard in range(-(-n_blocks // per_shard)):
            n_bytes = sizes[f"X/{name}/c/{shard}"]
            source = self._object(chunk, f"X/{name}/c/{shard}")
            indexes.append(unpack_index(source.read(n_bytes - index_bytes(per_shard), n_bytes), per_shard))
        places = np.concatenate(indexes)[:n_blocks].astype(np.int64)
        return _Array({"data_type": node["data_type"], "codecs": sharding["codecs"]}, block, per_shard, places)

    def _blocks(self, chunk: Chunk, name: str, array: _Array, numbers: list[int]) -> dict[int, memoryview]:
        """Blocks of an array by number; what follows each other in a shard is got together."""
        blocks: dict[int, memoryview] = {}
        for shard in sorted({number // array.per_shard for number in numbers}):
            here = [number for number in numbers if number // array.per_shard == shard]
            ranges: list[Range] = []
            for place, n_bytes in array.places[here].tolist():
                if ranges and ranges[-1][1] == place:
                    ranges[-1] = (ranges[-1][0], place + n_bytes)
                else:
                    ranges.append((place, place + n_bytes))
            source = self._object(chunk, f"X/{name}/c/{shard}")
            found = [(*part, octets) for part, octets in zip(ranges, source.read_ranges(ranges), strict=True)]
            for number, (place, n_bytes) in zip(here, array.places[here].tolist(), strict=True):
                [(start, part)] = [(start, part) for start, stop, part in found if start <= place < stop]
                blocks[number] = part[place - start : place - start + n_bytes]
        return blocks

    def _whole(self, chunk: Chunk, path: str, sizes: dict[str, int]) -> bytes:
        """The one block of a short array."""
        name = f"{path}/c/0"
        return self._object(chunk, name).read(0, sizes[name]) if name in sizes else b""

    def _object(self, chunk: Chunk, name: str) -> ObjectBytes:
        return ObjectBytes(self._locator, f"{self._header.path(chunk)}/{name}")

    @contextlib.contextmanager
    def _named(self, chunk: Chunk) -> Iterator[None]:
        """Names the chunk in what is raised."""
        try:
            yield
        except BadInput:
            raise
        except FileNotFoundError as error:
            raise CxgError(f"chunk {chunk.key} is missing: {error}; {self._ingest} writes what is missing") from error
        except (KeyError, TypeError, ValueError) as error:
            problem: Any = f"it has no {error.args[0]}" if isinstance(error, KeyError) else error
            uri = f"{self._locator.url.rstrip('/')}/{self._header.path(chunk)}"
            raise CxgError(f"chunk {chunk.key}: {uri} is damaged ({problem}); {self._repair} makes it again") from error


def _wanted(rows: Rows, block: int) -> list[int]:
    """The numbers of the blocks of so many values that rows lie in, ascending."""
    has_values = rows.stops > rows.starts
    firsts, lasts = rows.starts[has_values] // block, (rows.stops[has_values] - 1) // block
    if not len(firsts):
        return []
    marks = np.zeros(int(lasts.max()) - int(firsts[0]) + 2, np.int64)
    np.add.at(marks, firsts - firsts[0], 1)
    np.add.at(marks, lasts - firsts[0] + 1, -1)
    return (np.flatnonzero(np.cumsum(marks)) + firsts[0]).tolist()
