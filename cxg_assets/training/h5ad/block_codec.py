"""Unpacks one stored block, and puts what is wanted of it where it belongs.

gzip is inflated by ISA-L, about three times as fast as by HDF5's zlib (0.3 to 0.4 ms for 256 KiB, measured); zstd by
Arrow; lzf by a loop of our own. All of them let other threads run.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import pyarrow as pa
from isal import isal_zlib

from cxg_assets.training.h5ad.hdf5_layout import Blocks
from cxg_assets.training.row_source import Rows

_SHUFFLE, _PACK = 1, 2
"""Bits of a block's mask: the first filter that was left out, and the second."""


class DamagedBlock(ValueError):
    """A block cannot be unpacked."""


def place_block(
    packed: bytes | memoryview, blocks: Blocks, number: int, compression: str, rows: Rows, target: np.ndarray
) -> None:
    """Unpacks a block, and copies what lies in it of some rows into `target`, a (nnz,) array of 4-byte values.

    Raises:
        DamagedBlock: It is not what the writer has stored.
    """
    from cxg_assets.training.loops import place_planes, place_values

    octets, is_shuffled = _unpacked(packed, blocks, number, compression)
    first, kinds = number * blocks.block, (blocks.dtype.kind, target.dtype.kind)
    if is_shuffled and blocks.dtype.itemsize == 4 and kinds in (("f", "f"), ("i", "i"), ("u", "i")):
        place_planes(octets, first, rows.starts, rows.stops, rows.places, target.view(np.uint32))
    else:
        values = _values(octets, blocks.dtype, is_shuffled)
        place_values(values, first, rows.starts, rows.stops, rows.places, target)


def unpack_values(packed: list[bytes], blocks: Blocks, compression: str) -> np.ndarray:
    """All values of a small dataset, (n_values,); raises as `place_block`."""
    unpacked = [_unpacked(data, blocks, number, compression) for number, data in enumerate(packed)]
    parts = [_values(octets, blocks.dtype, is_shuffled) for octets, is_shuffled in unpacked]
    return np.concatenate([*parts, np.empty(0, blocks.dtype)])[: blocks.n_values]


def _unpacked(packed: bytes | memoryview, blocks: Blocks, number: int, compression: str) -> tuple[np.ndarray, bool]:
    """The octets of a block, and whether they are shuffled."""
    mask, n_bytes = int(blocks.masks[number]), blocks.block * blocks.dtype.itemsize
    is_shuffled = compression != "none" and not mask & _SHUFFLE and blocks.dtype.itemsize > 1
    if compression == "none" or mask & _PACK:
        octets = np.frombuffer(packed, np.uint8)
    else:
        octets = _unpackers()[compression](packed, n_bytes)
    if len(octets) != n_bytes:
        raise DamagedBlock(f"it has {len(octets):,} bytes, {n_bytes:,} were expected")
    return octets, is_shuffled


def _values(octets: np.ndarray, dtype: np.dtype, is_shuffled: bool) -> np.ndarray:
    if is_shuffled:
        octets = np.ascontiguousarray(octets.reshape(dtype.itemsize, -1).T).reshape(-1)
    return octets.view(dtype)


@cache
def _unpackers() -> dict[str, Callable[[bytes | memoryview, int], np.ndarray]]:
    return {"gzip": _inflate, "zstd": _unpack_zstd, "lzf": _unpack_lzf}


def _inflate(packed: bytes | memoryview, n_bytes: int) -> np.ndarray:
    try:
        return np.frombuffer(isal_zlib.decompress(packed, 15, n_bytes), np.uint8)
    except isal_zlib.error as error:  # pyright: ignore[reportGeneralTypeIssues] - it is an exception
        raise DamagedBlock(str(error)) from error


def _unpack_zstd(packed: bytes | memoryview, n_bytes: int) -> np.ndarray:
    try:
        return np.frombuffer(pa.Codec("zstd").decompress(packed, n_bytes), np.uint8)
    except (pa.ArrowException, OSError) as error:
        raise DamagedBlock(str(error)) from error


def _unpack_lzf(packed: bytes | memoryview, n_bytes: int) -> np.ndarray:
    from cxg_assets.training.loops import unpack_lzf

    octets = np.empty(n_bytes, np.uint8)
    if unpack_lzf(np.frombuffer(packed, np.uint8), octets) != n_bytes:
        raise DamagedBlock("its LZF is damaged")
    return octets
