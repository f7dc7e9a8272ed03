"""Encodes one chunk as a zarr dataset, object by object, as its rows arrive.

A change here, or in a file beside it, that changes the bytes of a chunk raises `fingerprint.ZARR_ENCODING_VERSION`.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.chunks.encoder import layer_nnz
from cxg_assets.ingest.chunks.gene_table import is_text
from cxg_assets.ingest.chunks.h5ad_template import OBSM, UNS_KEY, codes_in_file, require_values
from cxg_assets.ingest.chunks.zarr.nodes import (
    NODE,
    Json,
    group_node,
    node_bytes,
    number_array,
    text_array,
    text_scalar,
    with_consolidated,
)
from cxg_assets.ingest.chunks.zarr.rows import RowChunks
from cxg_assets.ingest.chunks.zarr.shards import ShardedArray
from cxg_assets.ingest.chunks.zarr.template import ZarrTemplate
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.x.csr import CsrRows
from cxg_assets.ingest.x_layers import X

ARRAY = {"encoding-type": "array", "encoding-version": "0.2.0"}
"""What AnnData is to make of a dense array."""

TOLD = "cxg_assets"
"""Attribute of the root in which a chunk tells of itself and of its objects."""


class ZarrEncoder:
    """One chunk in the making: `append` its rows in order, then `finish`; the counterpart of `ChunkEncoder`."""

    def __init__(self, template: ZarrTemplate, emit: Callable[[str, bytes], None]) -> None:
        """Gives every object to `emit`, with its name below the chunk, as soon as it is whole; the marker last of all.

        A shard of X is given while rows still arrive, so that memory does not grow with the chunk.
        """
        self._template, self._emit_object = template, emit
        self._nodes: dict[str, Json] = {}
        self._objects: dict[str, list[Any]] = {}
        self._matrices = {path: _Matrix(path, template, self._emit) for path in template.matrices}
        self._obsm = {
            path: RowChunks(array.n_columns, array.dtype, template.compression, template.largest)
            for path, array in template.further.items()
            if path.startswith(OBSM)
        }
        self._path = X

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
        if path != self._path and self._path in self._matrices:
            self._matrices[self._path].end()
        self._path = path
        if path in self._matrices:
            self._matrices[path].append(rows)
            return
        array = self._template.further[path]
        for name, data in self._obsm[path].append(rows.dense(array.n_columns, array.dtype, array.missing)):
            self._emit(f"{path}/{name}", data)

    def finish(
        self,
        obs: pa.Table,
        chunk: str,
        fingerprint: str,
        split: str | None = None,
        obsm: Mapping[str, np.ndarray] | None = None,
    ) -> bytes:
        """Gives the rest of the objects, and returns the marker: the root's node, which is to be stored last.

        It tells of all nodes below it, so that the chunk is opened by one request, and of size and SHA-256 of each of
        the others. Arguments and errors are those of `ChunkEncoder.finish`.
        """
        template = self._template
        shape = {"shape": [obs.num_rows, template.n_vars]}
        for path, matrix in self._matrices.items():
            if (n_rows := len(matrix.indptr) - 1) != obs.num_rows:
                raise CxgError(f"chunk {chunk}: {n_rows} rows of {path} were read for {obs.num_rows} cells")
            self._add_node(path, group_node({**template.attributes[path], **shape}))
            for array, node in matrix.end().items():
                self._add_node(f"{path}/{array}", node)
            self._add(f"{path}/indptr", number_array(matrix.indptr, template.compression, {}))
        for path, array in self._obsm.items():
            self._add(path, array.finish(template.attributes[path]))
        self._fill_obs(obs)
        for name, values in (obsm or {}).items():
            self._add(f"obsm/{name}", number_array(values, template.compression, ARRAY))
        told = {"chunk": chunk, "fingerprint": fingerprint, **({} if split is None else {"split": split})}
        for name, text in told.items():
            path = f"uns/{UNS_KEY}/{name}"
            self._add_node(path, text_scalar(text, template.attributes[path]))
        for name, data in template.objects.items():
            self._emit(name, data)
        about = {"fingerprint": fingerprint, "n_obs": obs.num_rows, "n_vars": template.n_vars, "nnz": self.nnz}
        about |= {"layer_nnz": self.layer_nnz} if self.layer_nnz else {}
        attributes = {**template.attributes[""], TOLD: {**about, "objects": dict(sorted(self._objects.items()))}}
        return node_bytes(with_consolidated(group_node(attributes), {**template.nodes, **self._nodes}))

    def close(self) -> None:
        """Frees what is held; for a chunk that will not be finished."""
        for matrix in self._matrices.values():
            matrix.close()

    def _fill_obs(self, obs: pa.Table) -> None:
        template = self._template
        joinids = obs["soma_joinid"].combine_chunks()
        # As the template has it: the text of the joinid, or the joinid.
        index = joinids.cast(pa.string()) if _is_text(template.attributes["obs/_index"]) else joinids
        self._add_column("obs/_index", index)
        for name in template.obs_columns:
            values = obs[name].combine_chunks()
            if isinstance(values, pa.DictionaryArray):
                self._fill_codes(name, values.indices)
                continue
            require_values(name, values)
            self._add_column(f"obs/{name}", values)

    def _add_column(self, path: str, values: pa.Array) -> None:
        attributes, compression = self._template.attributes[path], self._template.compression
        if is_text(values.type):
            self._add(path, text_array(values.to_pylist(), compression, attributes))
        else:
            self._add(path, number_array(values.to_numpy(zero_copy_only=False), compression, attributes))

    def _fill_codes(self, name: str, indices: pa.Array) -> None:
        path, template = f"obs/{name}/codes", self._template
        codes = codes_in_file(indices, template.recoded.get(name))
        codes = codes.astype(template.code_dtypes[name], copy=False)
        self._add(path, number_array(codes, template.compression, template.attributes[path]))

    def _add(self, path: str, array: tuple[Json, Mapping[str, bytes]]) -> None:
        node, chunks = array
        self._add_node(path, node)
        for name, data in chunks.items():
            self._emit(f"{path}/{name}", data)

    def _add_node(self, path: str, node: Json) -> None:
        self._nodes[path] = node
        self._emit(f"{path}/{NODE}", node_bytes(node))

    def _emit(self, name: str, data: bytes) -> None:
        self._objects[name] = [len(data), hashlib.sha256(data).hexdigest()]
        self._emit_object(name, data)


class _Matrix:
    """X or a layer in the making."""

    def __init__(self, path: str, template: ZarrTemplate, emit: Callable[[str, bytes], None]) -> None:
        dtype = template.x_dtype if path == X else template.further[path].dtype
        self._arrays = {
            name: ShardedArray(
                kind, template.compression, lambda shard, data, name=name: emit(f"{path}/{name}/{shard}", data)
            )
            for name, kind in (("data", dtype), ("indices", template.index_dtype))
        }
        self._nodes: dict[str, Json] = {}
        self._indptr = [np.zeros(1, dtype=np.int64)]
        self.nnz = 0

    @property
    def indptr(self) -> np.ndarray:
        """Where each row begins and the last ends, (n_rows + 1,) int64."""
        return np.concatenate(self._indptr)

    def append(self, rows: CsrRows) -> None:
        """Adds rows."""
        self._arrays["data"].append(rows.data)
        self._arrays["indices"].append(rows.indices)
        self._indptr.append(rows.indptr[1:] + self.nnz)
        self.nnz += int(rows.indptr[-1])

    def end(self) -> dict[str, Json]:
        """Gives the last shards, once, and returns the nodes of the arrays by name."""
        if not self._nodes:
            self._nodes = {name: array.finish() for name, array in self._arrays.items()}
        return self._nodes

    def close(self) -> None:
        """Frees what is held."""
        self._arrays.clear()


def _is_text(attributes: Json) -> bool:
    return attributes.get("encoding-type") == "string-array"
