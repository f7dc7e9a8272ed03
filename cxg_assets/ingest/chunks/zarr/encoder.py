"""Encodes one chunk as a zarr dataset, object by object, as its rows arrive.

A change here, or in a file beside it, that changes the bytes of a chunk raises `fingerprint.ZARR_ENCODING_VERSION`.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.chunks.gene_table import is_text
from cxg_assets.ingest.chunks.h5ad_template import UNS_KEY, codes_in_file, require_values
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
from cxg_assets.ingest.chunks.zarr.shards import ShardedArray
from cxg_assets.ingest.chunks.zarr.template import ZarrTemplate
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.x.csr import CsrRows

TOLD = "cxg_assets"
"""Attribute of the root in which a chunk tells of itself and of its objects."""


class ZarrEncoder:
    """One chunk in the making: `append` its rows in order, then `finish`; the counterpart of `ChunkEncoder`.

    Attributes:
        nnz: Non-zeros so far.
    """

    def __init__(self, template: ZarrTemplate, emit: Callable[[str, bytes], None]) -> None:
        """Gives every object to `emit`, with its name below the chunk, as soon as it is whole; the marker last of all.

        A shard of X is given while rows still arrive, so that memory does not grow with the chunk.
        """
        self._template, self._emit_object = template, emit
        self._nodes: dict[str, Json] = {}
        self._objects: dict[str, list[Any]] = {}
        self._x = {
            name: ShardedArray(
                dtype, template.compression, lambda shard, data, name=name: self._emit(f"X/{name}/{shard}", data)
            )
            for name, dtype in (("data", template.x_dtype), ("indices", template.index_dtype))
        }
        self._indptr = [np.zeros(1, dtype=np.int64)]
        self.nnz = 0

    def append(self, rows: CsrRows) -> None:
        """Adds the next rows of X."""
        self._x["data"].append(rows.data)
        self._x["indices"].append(rows.indices)
        self._indptr.append(rows.indptr[1:] + self.nnz)
        self.nnz += int(rows.indptr[-1])

    def finish(self, obs: pa.Table, chunk: str, fingerprint: str, split: str | None = None) -> bytes:
        """Gives the rest of the objects, and returns the marker: the root's node, which is to be stored last.

        It tells of all nodes below it, so that the chunk is opened by one request, and of size and SHA-256 of each of
        the others. Arguments and errors are those of `ChunkEncoder.finish`.
        """
        template = self._template
        indptr = np.concatenate(self._indptr)
        if len(indptr) - 1 != obs.num_rows:
            raise CxgError(f"chunk {chunk}: {len(indptr) - 1} rows of X were read for {obs.num_rows} cells")
        shape = {"shape": [obs.num_rows, template.n_vars]}
        self._add_node("X", group_node({**template.attributes["X"], **shape}))
        for name, array in self._x.items():
            self._add_node(f"X/{name}", array.finish())
        self._add("X/indptr", number_array(indptr, template.compression, {}))
        self._fill_obs(obs)
        told = {"chunk": chunk, "fingerprint": fingerprint, **({} if split is None else {"split": split})}
        for name, text in told.items():
            path = f"uns/{UNS_KEY}/{name}"
            self._add_node(path, text_scalar(text, template.attributes[path]))
        for name, data in template.objects.items():
            self._emit(name, data)
        about = {"fingerprint": fingerprint, "n_obs": obs.num_rows, "n_vars": template.n_vars, "nnz": self.nnz}
        attributes = {**template.attributes[""], TOLD: {**about, "objects": dict(sorted(self._objects.items()))}}
        return node_bytes(with_consolidated(group_node(attributes), {**template.nodes, **self._nodes}))

    def close(self) -> None:
        """Frees what is held; for a chunk that will not be finished."""
        self._x.clear()

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


def _is_text(attributes: Json) -> bool:
    return attributes.get("encoding-type") == "string-array"
