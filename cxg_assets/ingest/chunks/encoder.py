"""Encodes one chunk as an h5ad file, in memory, as its rows arrive.

Format: https://anndata.readthedocs.io/en/stable/fileformat-prose.html (encoding-version 0.1.0 of anndata and
csr_matrix, 0.2.0 of dataframe, categorical, array and string-array). A change here that changes the bytes of a chunk
raises `fingerprint.ENCODING_VERSION`.
"""

import itertools
from collections.abc import Mapping
from typing import Any, Protocol

import h5py
import numpy as np
import pyarrow as pa

from cxg_assets.ingest.chunks.h5ad_template import UNS_KEY, Template, codes_in_file, describe, is_text, require_values
from cxg_assets.ingest.chunks.hdf5_arrays import BLOCK, BlockedArray, create_array, fill_array, write_rows
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.x.csr import CsrRows
from cxg_assets.ingest.x_layers import X

_numbers = itertools.count()

_CORE_INCREMENT = 4 * 2**20
"""Bytes by which HDF5 grows an in-memory file: its default of 64 KiB reallocates hundreds of times a chunk."""


class ChunkEncoder:
    """One chunk in the making: `append` its rows in order, then `finish`."""

    def __init__(self, template: Template) -> None:
        """Starts from a copy of the template."""
        access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        access.set_fapl_core(block_size=_CORE_INCREMENT, backing_store=False)
        access.set_file_image(template.image)
        # HDF5 takes two files in memory for one if they are open at once under one name.
        name = f"chunk-{next(_numbers)}".encode()
        # h5py types what it looks up by name as any kind of object.
        self._file: Any = h5py.File(h5py.h5f.open(name, h5py.h5f.ACC_RDWR, fapl=access))
        self._template = template
        self._matrices = {
            path: _Matrix(BlockedArray(self._dataset(f"{path}/data")), BlockedArray(self._dataset(f"{path}/indices")))
            for path in template.matrices
        }
        self._obsm = {path: BlockedArray(self._dataset(path)) for path in template.obsm}

    @property
    def nnz(self) -> int:
        """Non-zeros of X so far."""
        return self._matrices[X].nnz

    @property
    def layer_nnz(self) -> dict[str, int]:
        """Those of each layer beside it, by name."""
        return layer_nnz(self._matrices)

    def append(self, rows: CsrRows, path: str = X) -> None:
        """Adds the next rows of X, or of an array beside it: all of a chunk, then those of the next array."""
        if path in self._obsm:
            array = self._template.further[path]
            self._obsm[path].append(rows.dense(array.n_columns, array.dtype, array.missing))
        else:
            self._matrices[path].append(rows)

    def finish(
        self,
        obs: pa.Table,
        chunk: str,
        fingerprint: str,
        split: str | None = None,
        obsm: Mapping[str, np.ndarray] | None = None,
    ) -> bytes:
        """Writes obs, the chunk's rows of the subset, and closes the file. Returns the bytes of the h5ad file.

        `split` is its part of the split, where the template has one; `obsm` has arrays of numbers, (n_obs, n_columns).

        Raises:
            CxgError: A column of text, whole numbers or truth values misses some, which h5ad has no encoding for, or
                a text has the character NUL in it.
        """
        for path, matrix in self._matrices.items():
            indptr = matrix.close()
            if len(indptr) - 1 != obs.num_rows:
                raise CxgError(f"chunk {chunk}: {len(indptr) - 1} rows of {path} were read for {obs.num_rows} cells")
            x, block = self._file[path], min(BLOCK, len(indptr))
            fill_array(create_array(x, "indptr", indptr.dtype, self._template.compression, block), indptr)
            x.attrs["shape"] = np.array([obs.num_rows, self._template.n_vars], dtype=np.int64)
        for array in self._obsm.values():
            array.close()
        self._fill_obs(obs)
        for name, values in (obsm or {}).items():
            describe(write_rows(self._file["obsm"], name, values, self._template.compression), "array")
        self._dataset(f"uns/{UNS_KEY}/chunk")[()] = chunk
        self._dataset(f"uns/{UNS_KEY}/fingerprint")[()] = fingerprint
        if split is not None:
            self._dataset(f"uns/{UNS_KEY}/split")[()] = split
        self._file.flush()
        image = self._file.id.get_file_image()
        self.close()
        return image

    def close(self) -> None:
        """Frees the file; for a chunk that will not be finished."""
        self._file.close()

    def _fill_obs(self, obs: pa.Table) -> None:
        _fill_text(self._dataset("obs/_index"), obs["soma_joinid"].combine_chunks().cast(pa.string()))
        for name in self._template.obs_columns:
            values = obs[name].combine_chunks()
            if isinstance(values, pa.DictionaryArray):
                self._fill_codes(name, values.indices)
                continue
            require_values(name, values)
            if is_text(values.type):
                _fill_text(self._dataset(f"obs/{name}"), values)
            else:
                fill_array(self._dataset(f"obs/{name}"), values.to_numpy(zero_copy_only=False))

    def _fill_codes(self, name: str, indices: pa.Array) -> None:
        dataset = self._dataset(f"obs/{name}/codes")
        codes = codes_in_file(indices, self._template.recoded.get(name))
        fill_array(dataset, codes.astype(dataset.dtype, copy=False))

    def _dataset(self, path: str) -> h5py.Dataset:
        """A dataset by its path; a third of what a lookup through `h5py.File` takes."""
        return h5py.Dataset(h5py.h5d.open(self._file.id, path.encode()))


class HasNnz(Protocol):
    """X or a layer in the making."""

    nnz: int
    """Non-zeros so far."""


def layer_nnz(matrices: Mapping[str, HasNnz]) -> dict[str, int]:
    """Non-zeros of each of some matrices but X, by their names in `layers`."""
    return {path.removeprefix("layers/"): matrix.nnz for path, matrix in matrices.items() if path != X}


class _Matrix:
    """X or a layer in the making."""

    def __init__(self, data: BlockedArray, indices: BlockedArray) -> None:
        self._data, self._indices = data, indices
        self._indptr = [np.zeros(1, dtype=np.int64)]
        self.nnz = 0

    def append(self, rows: CsrRows) -> None:
        """Adds rows."""
        # A block at a time, so that the blocks of the two arrays alternate in the file however the rows were cut.
        for start in range(-(self.nnz % BLOCK), len(rows.data), BLOCK):
            block = slice(max(start, 0), start + BLOCK)
            self._data.append(rows.data[block])
            self._indices.append(rows.indices[block])
        self._indptr.append(rows.indptr[1:] + self.nnz)
        self.nnz += int(rows.indptr[-1])

    def close(self) -> np.ndarray:
        """Writes what is left. Returns where each row begins and the last ends, (n_obs + 1,) of the least type."""
        self._data.close()
        self._indices.close()
        indptr = np.concatenate(self._indptr)
        return indptr.astype(np.int32) if self.nnz <= np.iinfo(np.int32).max else indptr


def _fill_text(dataset: h5py.Dataset, values: pa.Array) -> None:
    dataset.resize((len(values),))
    dataset[:] = values.to_numpy(zero_copy_only=False)
