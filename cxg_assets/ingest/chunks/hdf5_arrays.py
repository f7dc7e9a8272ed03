"""HDF5 datasets filled block by block, compressed the way the reader expects and the writer can do fast.

For gzip the dataset declares HDF5's own shuffle and deflate filters, but the blocks are shuffled and deflated here, by
ISA-L, and stored as they are (`write_direct_chunk`). Any HDF5 reader opens them; HDF5's own deflate takes about ten
times as long (design measurement: 4,600 cells/s against 51,000).
"""

from typing import Any

import h5py
import numpy as np
from isal import isal_zlib

from cxg_assets.ingest.errors import BadInput

BLOCK = 65_536
"""Elements of one HDF5 chunk: 256 KiB of X, about 40 cells, so that a few cells can be read without decoding many."""

ISAL_LEVEL = 1
"""On shuffled counts level 2 takes as long for the same size, level 3 twice as long for a larger one (measured)."""

ISAL_HEAD = 4
"""Bytes that ISA-L gets alone, which makes equal content equal bytes.

The loop that packs most of the input hashes, after the very first byte, a register that was not loaded for it: it
holds the address of the compressor's state (`.write_first_byte` in igzip_icf_body_h1_gr_bt.asm of ISA-L 2.32.1). So the
result depends on where the stack of a thread lies: some blocks of X are packed differently at one or two of 8192
addresses, many short columns of obs at one to five of 512 (measured). A flushed start of 4 to 16 bytes is packed by
another loop, which has no such fault, and the first one takes over behind it. It costs 3 to 18 % of
the time (measured on a loaded machine), and some 20 bytes.
"""

ZSTD_LEVEL = 3


def create_array(
    group: h5py.Group, name: str, dtype: np.dtype, compression: str, block: int = BLOCK, columns: tuple[int, ...] = ()
) -> h5py.Dataset:
    """Creates an empty dataset with HDF5 chunks of `block` elements, or rows of `columns`, which `BlockedArray` fills.

    Raises:
        BadInput: zstd was asked for and hdf5plugin is not installed.
    """
    sizes: Any = {"shape": (0, *columns), "chunks": (block, *columns), "maxshape": (None, *columns)}
    return group.create_dataset(name, dtype=dtype, **sizes, **_filters(compression))


class BlockedArray:
    """Fills a dataset made by `create_array`, in whole blocks of elements or rows.

    What is written where depends on the values alone, not on how they were cut by the calls to `append`, so equal
    content gives equal bytes.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset: Any = dataset
        self._deflate = dataset.compression == "gzip"
        self._block: int = self._dataset.chunks[0]
        self._columns: tuple[int, ...] = tuple(dataset.shape[1:])
        self._rest = np.empty((0, *self._columns), dataset.dtype)
        self._n_written = self._n_allotted = 0

    def append(self, values: np.ndarray) -> None:
        """Adds values at the end; whole blocks are written at once."""
        if len(self._rest):
            values = np.concatenate([self._rest, values])
        n_whole = len(values) - len(values) % self._block
        for start in range(0, n_whole, self._block):
            self._make_room()
            self._write(values[start : start + self._block])
        # A copy, so that a short rest does not keep a large array alive.
        self._rest = values[n_whole:].copy()

    def close(self) -> None:
        """Sets the final length and writes what is left.

        In this order: when HDF5 shortens a dataset it inflates a last block that sticks out, blanks the rest of it
        and deflates it again with zlib.
        """
        self._dataset.id.set_extent((self._n_written + len(self._rest), *self._columns))
        if len(self._rest):
            self._write(self._rest)

    def _make_room(self) -> None:
        """Lengthens the dataset for one more block; eightfold, since that costs more than a block of it."""
        needed = self._n_written + self._block
        if needed > self._n_allotted:
            self._n_allotted = max(needed, 8 * self._n_allotted)
            self._dataset.id.set_extent((self._n_allotted, *self._columns))

    def _write(self, values: np.ndarray) -> None:
        start = self._n_written
        self._n_written += len(values)
        if not self._deflate:
            self._dataset[start : self._n_written] = values
            return
        if len(values) < self._block:
            values = np.concatenate([values, np.zeros((self._block - len(values), *self._columns), values.dtype)])
        self._dataset.id.write_direct_chunk((start, *(0 for _ in self._columns)), shuffle_deflate(values))


def fill_array(dataset: h5py.Dataset, values: np.ndarray) -> None:
    """Fills a dataset made by `create_array` at once."""
    array = BlockedArray(dataset)
    array.append(values)
    array.close()


def write_rows(group: h5py.Group, name: str, values: np.ndarray, compression: str) -> h5py.Dataset:
    """Writes a two-dimensional array, (n_rows, n_columns), in HDF5 chunks of whole rows of about `BLOCK` elements."""
    n_rows, n_columns = values.shape
    block = min(max(BLOCK // n_columns, 1), n_rows)
    dataset: Any = group.create_dataset(
        name, values.shape, values.dtype, chunks=(block, n_columns), **_filters(compression)
    )
    if compression != "gzip":
        dataset[...] = values
        return dataset
    for start in range(0, n_rows, block):
        rows = values[start : start + block]
        if len(rows) < block:
            rows = np.concatenate([rows, np.zeros((block - len(rows), n_columns), values.dtype)])
        dataset.id.write_direct_chunk((start, 0), shuffle_deflate(rows))
    return dataset


def shuffle_deflate(values: np.ndarray) -> bytes:
    """What HDF5's shuffle and deflate filters would make of one chunk: byte planes, then a zlib stream.

    The same wherever and whenever it is made with this ISA-L on this kind of CPU (`ISAL_HEAD`).
    """
    octets = np.ascontiguousarray(values).view(np.uint8).reshape(-1, values.dtype.itemsize)
    if values.dtype.itemsize == 4:
        from cxg_assets.ingest.loops import shuffle_4

        planes = np.empty(octets.shape[::-1], np.uint8)
        shuffle_4(octets.reshape(-1), planes.reshape(-1))
    else:
        planes = np.ascontiguousarray(octets.T)
    plain, packer = planes.reshape(-1), isal_zlib.compressobj(ISAL_LEVEL)
    parts = [packer.compress(plain[:ISAL_HEAD]), packer.flush(isal_zlib.Z_SYNC_FLUSH)]
    return b"".join([*parts, packer.compress(plain[ISAL_HEAD:]), packer.flush()])


def _filters(compression: str) -> dict[str, Any]:
    """The keyword arguments of `create_dataset` that declare the filters."""
    if compression == "none":
        return {}
    if compression == "zstd":
        try:
            import hdf5plugin
        except ImportError as error:
            raise BadInput(
                "compression: zstd needs the hdf5plugin package, for writing and for every reader; "
                "install cxg_assets[zstd], or choose gzip, which any HDF5 reader opens"
            ) from error
        return {"shuffle": True, **hdf5plugin.Zstd(clevel=ZSTD_LEVEL)}
    return {"shuffle": True, "compression": compression}
