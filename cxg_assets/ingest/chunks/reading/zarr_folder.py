"""Reads a zarr chunk from the bytes of its objects."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cxg_assets.ingest.chunks.report import Told
from cxg_assets.ingest.chunks.zarr.encoder import TOLD
from cxg_assets.ingest.chunks.zarr.nodes import NODE
from cxg_assets.ingest.storage.store import Store

if TYPE_CHECKING:
    from anndata import AnnData

Objects = Mapping[str, bytes]
"""The bytes of a chunk's objects, by name below its folder."""


def told_by(objects: Objects) -> Told:
    """What the marker says of the chunk; raises KeyError, TypeError or ValueError where it is no chunk."""
    told = json.loads(objects[NODE])["attributes"][TOLD]
    names = ("fingerprint", "n_obs", "n_vars", "nnz")
    return Told(**{name: told[name] for name in names}, layer_nnz=told.get("layer_nnz", {}))


def others_of(marker: bytes) -> dict[str, tuple[int, str]]:
    """Size in bytes and SHA-256 (hex) of each object besides the marker, by name; raises as `told_by`."""
    told = json.loads(marker)["attributes"][TOLD]["objects"]
    return {str(name): (int(n_bytes), str(sha256)) for name, (n_bytes, sha256) in told.items()}


def read_chunk(objects: Objects) -> "AnnData":
    """The whole of it, in memory."""
    from anndata.io import read_elem

    with _as_values():
        adata: Any = read_elem(_group(objects))
    return with_wide_indices(adata)


def read_cells(objects: Objects, rows: slice) -> "AnnData":
    """Some of its cells; most of the others' X is not decoded."""
    from anndata import AnnData
    from anndata.io import read_elem, sparse_dataset

    with _as_values():
        group = _group(objects)
        parts: dict[str, Any] = {name: read_elem(group[name]) for name in ("obs", "var", "uns")}
        x: Any = sparse_dataset(group["X"])[rows]
        layers = {name: sparse_dataset(layer)[rows] for name, layer in group["layers"].groups()}
        parts["obsm"] = {name: array[rows] for name, array in group["obsm"].arrays()}
    parts["obs"] = parts["obs"].iloc[rows]
    return with_wide_indices(AnnData(X=x, layers=layers, **parts))


def gene_joinids(objects: Objects) -> np.ndarray:
    """soma_joinids of its genes in order, (n_vars,) int64; raises ValueError or KeyError where it is no chunk."""
    with _as_values():
        return _group(objects)["var/soma_joinid"][:]


def open_folder(store: Store, folder: str) -> Any:
    """A chunk, or a collection, as an open group of which nothing but the metadata has been read."""
    import zarr
    from zarr.storage import ObjectStore

    if store.folder is not None:
        return zarr.open_group(store.folder / folder, mode="r")
    return zarr.open_group(ObjectStore(store.below(folder), read_only=True), mode="r")


def with_x_in_store(group: Any) -> "AnnData":
    """A chunk of which X stays where it is, and rows of it are read when they are asked for."""
    from anndata import AnnData
    from anndata.io import read_elem, sparse_dataset

    parts: dict[str, Any] = {name: read_elem(group[name]) for name in ("obs", "var", "uns", "obsm")}
    layers = {name: sparse_dataset(layer) for name, layer in group["layers"].groups()}
    return AnnData(X=sparse_dataset(group["X"]), layers=layers, **parts)


def with_wide_indices(adata: "AnnData") -> "AnnData":
    """The same with columns of X and layers as int32, as SciPy makes them; the files have half as many bytes."""
    matrices: list[Any] = [adata.X, *adata.layers.values()]
    for matrix in matrices:
        matrix.indices = matrix.indices.astype(np.int32, copy=False)
    return adata


@contextlib.contextmanager
def _as_values() -> Iterator[None]:
    """Damage is told by zarr by whatever went wrong in a codec: here as ValueError."""
    try:
        yield
    except (KeyError, ValueError, OSError):
        raise
    except Exception as error:  # each codec has exceptions of its own
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _group(objects: Objects) -> Any:
    import zarr
    from zarr.core.buffer import cpu
    from zarr.storage import MemoryStore

    buffers: Any = {name: cpu.Buffer.from_bytes(data) for name, data in objects.items()}
    return zarr.open_group(MemoryStore(buffers, read_only=True), mode="r")
