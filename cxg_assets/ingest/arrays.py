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

ZSTD_LEVEL = 3


class BlockedArray:
    """A one-dimensional HDF5 dataset of unknown length, written in whole blocks.

    What is written where depends on the values alone, not on how they were cut by the calls to `append`, so equal
    content gives equal bytes.
    """

    def __init__(self, group: h5py.Group, name: str, dtype: np.dtype, compression: str, block: int = BLOCK) -> None:
        """Creates the dataset, empty.

        Args:
            group: Where.
            name: Name of the dataset.
            dtype: Type of its elements.
            compression: One of `spec.COMPRESSIONS`.
            block: Elements of one HDF5 chunk.

        Raises:
            BadInput: zstd was asked for and hdf5plugin is not installed.
        """
        self._dataset: Any = group.create_dataset(
            name, (0,), dtype, chunks=(block,), maxshape=(None,), **_filters(compression)
        )
        self._deflate = compression == "gzip"
        self._block = block
        self._waiting: list[np.ndarray] = []
        self._n_waiting = 0
        self._n_written = 0

    @property
    def dataset(self) -> h5py.Dataset:
        """The dataset, complete after `close`."""
        return self._dataset

    def append(self, values: np.ndarray) -> None:
        """Adds values at the end; whole blocks are written at once."""
        self._waiting.append(values)
        self._n_waiting += len(values)
        if self._n_waiting >= self._block:
            values = self._take_waiting()
            n_whole = len(values) - len(values) % self._block
            for start in range(0, n_whole, self._block):
                self._write(values[start : start + self._block])
            if n_whole < len(values):
                # A copy, so that a short rest does not keep a large array alive.
                self._waiting, self._n_waiting = [values[n_whole:].copy()], len(values) - n_whole

    def close(self) -> None:
        """Writes what is left and sets the final length."""
        if self._n_waiting:
            self._write(self._take_waiting())
        self._dataset.resize((self._n_written,))

    def _take_waiting(self) -> np.ndarray:
        values = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        self._waiting, self._n_waiting = [], 0
        return values

    def _write(self, values: np.ndarray) -> None:
        start = self._n_written
        self._n_written += len(values)
        if self._n_written > len(self._dataset):
            # Grown eightfold: every resize of a dataset costs more than a block of it.
            self._dataset.resize((max(self._n_written, 8 * len(self._dataset)),))
        if not self._deflate:
            self._dataset[start : self._n_written] = values
            return
        if len(values) < self._block:
            values = np.concatenate([values, np.zeros(self._block - len(values), values.dtype)])
        self._dataset.id.write_direct_chunk((start,), shuffle_deflate(values))


def write_array(group: h5py.Group, name: str, values: np.ndarray, compression: str) -> h5py.Dataset:
    """Writes a whole one-dimensional array, in one block where it is short."""
    array = BlockedArray(group, name, values.dtype, compression, block=min(BLOCK, max(len(values), 1)))
    array.append(values)
    array.close()
    return array.dataset


def shuffle_deflate(values: np.ndarray) -> bytes:
    """What HDF5's shuffle and deflate filters would make of one chunk: byte planes, then a zlib stream."""
    planes = np.ascontiguousarray(values).view(np.uint8).reshape(-1, values.dtype.itemsize).T
    return isal_zlib.compress(np.ascontiguousarray(planes), level=ISAL_LEVEL)


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
