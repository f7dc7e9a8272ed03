"""What all zarr chunks of a plan have in common, encoded once: var, the categories of obs, the provenance.

Taken from the template of an h5ad file, node by node: AnnData has the same encodings in both, and so the two formats
cannot come to say different things of the same cells and genes.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from cxg_assets.ingest.chunks.h5ad_template import UNS_KEY, ArrayInChunk, Template
from cxg_assets.ingest.chunks.zarr.nodes import (
    NODE,
    Json,
    group_node,
    node_bytes,
    number_array,
    text_array,
    text_scalar,
)

OF_CHUNK = ("chunk", "fingerprint", "split")
"""What `uns` tells of the chunk itself."""

_OF_CHUNK = {f"uns/{UNS_KEY}/{name}" for name in OF_CHUNK}


@dataclass(frozen=True, eq=False)
class ZarrTemplate:
    """A zarr dataset without cells, for `ZarrEncoder`.

    Attributes:
        nodes: What is the same in all chunks: each node below the root, by path.
        objects: Their objects by name, those of the nodes themselves among them.
        attributes: Of the root (path "") and of what each chunk fills, by path.
        code_dtypes: Of the columns with categories, the type of their codes, by name.
        n_vars: Genes.
        obs_columns: obs columns, soma_joinid first.
        compression: One of those of the format.
        recoded: As of `Template`.
        index_dtype: Type of X/indices: the least that holds the number of any gene.
        x_dtype: Type of the values of X.
        further: As of `Template`.
        matrices: Likewise.
        largest: Cells of the largest chunk.
    """

    nodes: Mapping[str, Json]
    objects: Mapping[str, bytes]
    attributes: Mapping[str, Json]
    code_dtypes: Mapping[str, np.dtype]
    n_vars: int
    obs_columns: tuple[str, ...]
    compression: str
    recoded: Mapping[str, np.ndarray]
    index_dtype: np.dtype
    x_dtype: np.dtype
    further: Mapping[str, ArrayInChunk]
    matrices: tuple[str, ...]
    largest: int


def make_zarr_template(template: Template, compression: str, largest: int = 1) -> ZarrTemplate:
    """Encodes what the chunks share, as the template of an h5ad file has it; `largest` is the size of the largest."""
    nodes: dict[str, Json] = {}
    objects: dict[str, bytes] = {}
    attributes: dict[str, Json] = {}
    code_dtypes: dict[str, np.dtype] = {}

    def visit(path: str, node: Any) -> None:
        told = _attributes(node)
        if path in _OF_CHUNK or _is_of_cells(path, node):
            attributes[path] = told
            if path.endswith("/codes"):
                code_dtypes[path.split("/")[1]] = node.dtype
        elif isinstance(node, h5py.Group):
            nodes[path] = group_node(told)
        elif node.shape == () and h5py.check_string_dtype(node.dtype):
            nodes[path] = text_scalar(node.asstr()[()], told)
        elif h5py.check_string_dtype(node.dtype):
            nodes[path], chunks = text_array(node.asstr()[:], compression, told)
            objects.update({f"{path}/{name}": data for name, data in chunks.items()})
        else:
            nodes[path], chunks = number_array(node[()], compression, told)
            objects.update({f"{path}/{name}": data for name, data in chunks.items()})

    with h5py.File(io.BytesIO(template.image), "r") as file:
        attributes[""] = _attributes(file)
        for path, node in _below(file):
            visit(path, node)
        x: Any = file["X/data"]
        x_dtype = x.dtype
    objects |= {f"{path}/{NODE}": node_bytes(node) for path, node in nodes.items()}
    return ZarrTemplate(
        nodes=nodes,
        objects=objects,
        attributes=attributes,
        code_dtypes=code_dtypes,
        n_vars=template.n_vars,
        obs_columns=template.obs_columns,
        compression=compression,
        recoded=template.recoded,
        index_dtype=np.min_scalar_type(max(template.n_vars - 1, 0)) if template.n_vars > 256 else np.dtype(np.uint16),
        x_dtype=x_dtype,
        further=template.further,
        matrices=template.matrices,
        largest=largest,
    )


def _below(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All nodes below a group by path, each as often as it is named there."""
    for name, node in group.items():
        yield f"{path}{name}", node
        if isinstance(node, h5py.Group):
            yield from _below(node, f"{path}{name}/")


def _is_of_cells(path: str, node: Any) -> bool:
    """Whether a node is filled by each chunk."""
    names = path.split("/")
    if names[0] == "X" or (names[0] in ("layers", "obsm") and len(names) > 1):
        return True
    if names[0] == "obs" and len(names) > 1:
        return names[-1] == "codes" if len(names) == 3 else isinstance(node, h5py.Dataset)
    return False


def _attributes(node: Any) -> Json:
    return {name: _plain(value) for name, value in node.attrs.items()}


def _plain(value: Any) -> Any:
    """An attribute of HDF5 as JSON has it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value
