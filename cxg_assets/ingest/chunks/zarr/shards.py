"""The long arrays of X: shards, each an object of many small chunks that can be read alone.

Specification: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/. A shard is the packed chunks one
after the other, and an index of their places at its end.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from google_crc32c import value as crc32c

from cxg_assets.ingest.chunks.zarr import INNER, SHARD
from cxg_assets.ingest.chunks.zarr.nodes import Json, array_node, number_codecs, pack_numbers

_EMPTY = np.iinfo(np.uint64).max
"""Place and size of a chunk that a shard does not have."""


class ShardedArray:
    """A one-dimensional array of numbers, packed as its values arrive.

    What is in which object depends on the values alone, not on how they were cut by the calls to `append`.
    """

    def __init__(self, dtype: np.dtype, compression: str, emit: Callable[[str, bytes], None]) -> None:
        """Gives each shard to `emit`, with its name below the array, as soon as it is full."""
        self._dtype, self._compression, self._emit = dtype, compression, emit
        self._rest = np.empty(0, dtype)
        self._packed: list[bytes] = []
        self._n_shards = 0
        self._n_values = 0

    def append(self, values: np.ndarray) -> None:
        """Adds values at the end."""
        self._n_values += len(values)
        values = values.astype(self._dtype, copy=False)
        if len(self._rest):
            n_missing = INNER - len(self._rest)
            self._rest = np.concatenate([self._rest, values[:n_missing]])
            if len(self._rest) < INNER:
                return
            self._add(self._rest)
            values = values[n_missing:]
        n_whole = len(values) - len(values) % INNER
        for start in range(0, n_whole, INNER):
            self._add(values[start : start + INNER])
        # A copy, so that a short rest does not keep a large array alive.
        self._rest = values[n_whole:].copy()

    def finish(self, attributes: dict[str, Any] | None = None) -> Json:
        """Gives the last shard, and returns the array's node."""
        if len(self._rest):
            padded = np.zeros(INNER, self._dtype)
            padded[: len(self._rest)] = self._rest
            self._add(padded)
        if self._packed:
            self._end_shard()
        index: list[Json] = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
        sharding = {
            "chunk_shape": [INNER],
            "codecs": number_codecs(self._dtype, self._compression),
            "index_codecs": index,
            "index_location": "end",
        }
        codecs: list[Json] = [{"name": "sharding_indexed", "configuration": sharding}]
        fill_value: Any = 0.0 if self._dtype.kind == "f" else 0
        return array_node((self._n_values,), self._dtype.name, fill_value, (SHARD,), codecs, attributes or {})

    def _add(self, values: np.ndarray) -> None:
        self._packed.append(pack_numbers(values, self._compression))
        if len(self._packed) == SHARD // INNER:
            self._end_shard()

    def _end_shard(self) -> None:
        index = np.full((SHARD // INNER, 2), _EMPTY, "<u8")
        sizes = np.array([len(packed) for packed in self._packed], np.uint64)
        index[: len(sizes), 0] = np.cumsum(sizes) - sizes
        index[: len(sizes), 1] = sizes
        packed_index = index.tobytes()
        checksum = crc32c(packed_index).to_bytes(4, "little")
        self._emit(f"c/{self._n_shards}", b"".join([*self._packed, packed_index, checksum]))
        self._packed.clear()
        self._n_shards += 1


def index_bytes(n_chunks: int) -> int:
    """Size of the index at the end of a shard of so many chunks, with its checksum."""
    return n_chunks * 16 + 4


def unpack_index(packed: bytes, n_chunks: int) -> np.ndarray:
    """Place and size in a shard of each of its chunks, (n_chunks, 2) uint64; ValueError where it is damaged."""
    index, checksum = packed[:-4], packed[-4:]
    if len(packed) != index_bytes(n_chunks) or crc32c(index) != int.from_bytes(checksum, "little"):
        raise ValueError("its index is damaged")
    return np.frombuffer(index, "<u8").reshape(-1, 2)
