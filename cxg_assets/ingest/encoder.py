"""Encodes one chunk as an h5ad file, in memory, as its rows arrive.

Format: https://anndata.readthedocs.io/en/stable/fileformat-prose.html (encoding-version 0.1.0 of anndata and
csr_matrix, 0.2.0 of dataframe, categorical, array and string-array). A change here that changes the bytes of a chunk
raises `fingerprint.ENCODING_VERSION`.
"""

from typing import Any

import h5py
import numpy as np
import pyarrow as pa

from cxg_assets.ingest.arrays import BLOCK, BlockedArray, write_array
from cxg_assets.ingest.csr import CsrRows
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.template import UNS_KEY

_CORE_INCREMENT = 4 * 2**20
"""Bytes by which HDF5 grows an in-memory file: its default of 64 KiB reallocates hundreds of times a chunk."""


class ChunkEncoder:
    """One chunk in the making: `append` its rows in order, then `finish`."""

    def __init__(self, template: bytes, n_vars: int, dtype: np.dtype, compression: str) -> None:
        """Starts from a copy of the template.

        Args:
            template: From `make_template`.
            n_vars: Genes.
            dtype: Type of X's values.
            compression: One of `spec.COMPRESSIONS`.
        """
        access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        access.set_fapl_core(block_size=_CORE_INCREMENT, backing_store=False)
        access.set_file_image(template)
        # h5py types what it looks up by name as any kind of object.
        self._file: Any = h5py.File(h5py.h5f.open(b"chunk.h5ad", h5py.h5f.ACC_RDWR, fapl=access))
        self._n_vars = n_vars
        self._compression = compression
        self._x = self._file.create_group("X")
        self._x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        self._data = BlockedArray(self._x, "data", dtype, compression)
        self._indices = BlockedArray(self._x, "indices", np.dtype(np.int32), compression)
        self._indptr = [np.zeros(1, dtype=np.int64)]
        self.nnz = 0

    def append(self, rows: CsrRows) -> None:
        """Adds the next rows of X."""
        # A block at a time, so that the blocks of the two arrays alternate in the file however the rows were cut.
        for start in range(-(self.nnz % BLOCK), len(rows.data), BLOCK):
            block = slice(max(start, 0), start + BLOCK)
            self._data.append(rows.data[block])
            self._indices.append(rows.indices[block])
        self._indptr.append(rows.indptr[1:] + self.nnz)
        self.nnz += int(rows.indptr[-1])

    def finish(self, obs: pa.Table, chunk: str, fingerprint: str) -> bytes:
        """Writes obs and closes the file.

        Args:
            obs: The chunk's rows of the subset, (n_obs, columns).
            chunk: Its key.
            fingerprint: Its fingerprint.

        Raises:
            CxgError: A text column without dictionary has missing values, for which h5ad has no encoding.

        Returns:
            The bytes of the h5ad file.
        """
        indptr = np.concatenate(self._indptr)
        if len(indptr) - 1 != obs.num_rows:
            raise CxgError(f"chunk {chunk}: {len(indptr) - 1} rows of X were read for {obs.num_rows} cells")
        if self.nnz <= np.iinfo(np.int32).max:
            indptr = indptr.astype(np.int32)
        self._data.close()
        self._indices.close()
        write_array(self._x, "indptr", indptr, self._compression)
        self._x.attrs["shape"] = np.array([obs.num_rows, self._n_vars], dtype=np.int64)
        self._write_obs(obs)
        origin = self._file[f"uns/{UNS_KEY}"]
        for name, value in (("chunk", chunk), ("fingerprint", fingerprint)):
            _describe(origin.create_dataset(name, data=value), "string")
        self._file.flush()
        image = self._file.id.get_file_image()
        self.close()
        return image

    def close(self) -> None:
        """Frees the file; for a chunk that will not be finished."""
        self._file.close()

    def _write_obs(self, obs: pa.Table) -> None:
        group = self._file["obs"]
        names = obs["soma_joinid"].cast(pa.string()).to_numpy()
        _describe(group.create_dataset("_index", data=names, dtype=h5py.string_dtype()), "string-array")
        for name in group.attrs["column-order"]:
            values = obs[name].combine_chunks()
            if isinstance(values, pa.DictionaryArray):
                codes = values.indices.fill_null(-1).to_numpy()
                _describe(write_array(group[name], "codes", codes, self._compression), "array")
            elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
                if values.null_count:
                    raise CxgError(f"obs.{name}: {values.null_count} cells have no value; leave the column out")
                text = values.to_numpy(zero_copy_only=False)
                _describe(group.create_dataset(name, data=text, dtype=h5py.string_dtype()), "string-array")
            else:
                numbers = values.to_numpy(zero_copy_only=False)
                _describe(write_array(group, name, numbers, self._compression), "array")


def _describe(dataset: h5py.Dataset, encoding: str) -> None:
    dataset.attrs.update({"encoding-type": encoding, "encoding-version": "0.2.0"})
