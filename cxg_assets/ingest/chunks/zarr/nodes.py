"""Groups and arrays of zarr v3, as JSON and bytes.

Specification: https://zarr-specs.readthedocs.io/en/latest/v3/core/. Encoded here and not by zarr-python, which takes
more time for the metadata of an array than blosc for its values.
"""

import importlib
import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

# By name: pyright does not know modules that are compiled.
blosc: Any = importlib.import_module("numcodecs.blosc")
zstd: Any = importlib.import_module("numcodecs.zstd")

Json = dict[str, Any]

NODE = "zarr.json"
"""Name of the object that describes a group or an array."""

BLOSC_LEVEL, ZSTD_LEVEL = 3, 3
"""lz4 at the level that annbatch writes with; zstd at that of the h5ad files."""

TEXT_LEVEL = 9
"""Of zstd, for texts: they are packed once for all chunks of a plan."""

_BYTES: Json = {"name": "bytes", "configuration": {"endian": "little"}}

# Of several threads the blocks of an array would be in the order in which they were ready. zarr-python does the same.
blosc.use_threads = False


def node_bytes(node: Json) -> bytes:
    """A node as it is stored."""
    return json.dumps(node, indent=2).encode()


def group_node(attributes: Mapping[str, Any]) -> Json:
    """A group."""
    return {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}


def with_consolidated(node: Json, nodes: Mapping[str, Json]) -> Json:
    """A group that tells of all nodes below it, by their paths, so that readers get them by one request."""
    metadata = {path: nodes[path] for path in sorted(nodes)}
    consolidated = {"kind": "inline", "must_understand": False, "metadata": metadata}
    return {**node, "consolidated_metadata": consolidated}


def array_node(
    shape: tuple[int, ...],
    data_type: str,
    fill_value: Any,
    chunk: tuple[int, ...],
    codecs: list[Json],
    attributes: Mapping[str, Any],
) -> Json:
    """An array of regular chunks."""
    return {
        "shape": list(shape),
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill_value,
        "codecs": codecs,
        "attributes": dict(attributes),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def number_codecs(dtype: np.dtype, compression: str) -> list[Json]:
    """How numbers are written."""
    if compression == "none":
        return [_BYTES]
    name, level = ("lz4", BLOSC_LEVEL) if compression == "lz4" else ("zstd", ZSTD_LEVEL)
    shuffle = "noshuffle" if dtype.itemsize == 1 else "shuffle"
    configuration = {"typesize": dtype.itemsize, "cname": name, "clevel": level, "shuffle": shuffle, "blocksize": 0}
    return [_BYTES, {"name": "blosc", "configuration": configuration}]


def pack_numbers(values: np.ndarray, compression: str) -> bytes:
    """What `number_codecs` declare."""
    values = np.ascontiguousarray(values)
    if compression == "none":
        return values.tobytes()
    name, level = (b"lz4", BLOSC_LEVEL) if compression == "lz4" else (b"zstd", ZSTD_LEVEL)
    shuffle = blosc.NOSHUFFLE if values.itemsize == 1 else blosc.SHUFFLE
    return blosc.compress(values, name, level, shuffle, 0, values.itemsize)


def number_array(values: np.ndarray, compression: str, attributes: Mapping[str, Any]) -> tuple[Json, dict[str, bytes]]:
    """An array of numbers or truth values in one chunk: its node, and its chunk by name."""
    fill_value: Any = False if values.dtype.kind == "b" else 0.0 if values.dtype.kind == "f" else 0
    chunk = tuple(max(size, 1) for size in values.shape)
    codecs = number_codecs(values.dtype, compression)
    node = array_node(values.shape, values.dtype.name, fill_value, chunk, codecs, attributes)
    if not values.size:
        return node, {}
    return node, {_chunk_name(values.ndim): pack_numbers(values, compression)}


def text_array(values: Iterable[str], compression: str, attributes: Mapping[str, Any]) -> tuple[Json, dict[str, bytes]]:
    """A one-dimensional array of texts in one chunk: its node, and its chunk by name."""
    texts = [value.encode() for value in values]
    codecs: list[Json] = [{"name": "vlen-utf8"}]
    if compression != "none":
        codecs.append({"name": "zstd", "configuration": {"level": TEXT_LEVEL, "checksum": False}})
    node = array_node((len(texts),), "string", "", (max(len(texts), 1),), codecs, attributes)
    if not texts:
        return node, {}
    parts = [struct.pack("<I", len(texts))]
    for text in texts:
        parts += [struct.pack("<I", len(text)), text]
    data = b"".join(parts)
    return node, {_chunk_name(1): data if compression == "none" else bytes(zstd.compress(data, TEXT_LEVEL))}


def text_scalar(value: str, attributes: Mapping[str, Any]) -> Json:
    """One text, as what an array without any stored chunk is filled with: one object less for each of many."""
    return array_node((), "string", value, (), [{"name": "vlen-utf8"}], attributes)


def _chunk_name(n_dimensions: int) -> str:
    return "/".join(["c", *["0"] * n_dimensions])


def unpack_numbers(node: Json, data: bytes | memoryview) -> np.ndarray:
    """The numbers of one chunk that `number_array` or a shard has packed; ValueError where they are damaged.

    Args:
        node: Of the array; of a shard, what its `sharding_indexed` says.
        data: The chunk.
    """
    if node["codecs"][1:]:
        try:
            data = blosc.decompress(data)
        except (RuntimeError, ValueError) as error:
            raise ValueError(str(error)) from error
    return np.frombuffer(data, np.dtype(node["data_type"]))


def unpack_texts(node: Json, data: bytes) -> list[str]:
    """The texts that `text_array` has packed; ValueError where they are damaged."""
    try:
        if node["codecs"][1:]:
            data = bytes(zstd.decompress(data))
        [n_texts] = struct.unpack_from("<I", data)
        texts, place = [], 4
        for _ in range(n_texts):
            [n_bytes] = struct.unpack_from("<I", data, place)
            texts.append(data[place + 4 : place + 4 + n_bytes].decode())
            place += 4 + n_bytes
    except (RuntimeError, ValueError, struct.error) as error:
        raise ValueError(str(error)) from error
    return texts
