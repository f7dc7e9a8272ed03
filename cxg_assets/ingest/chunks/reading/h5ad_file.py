"""Reads an h5ad chunk from its bytes."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from cxg_assets.ingest.chunks.h5ad_template import UNS_KEY
from cxg_assets.ingest.chunks.report import Told

if TYPE_CHECKING:
    from anndata import AnnData

Objects = Mapping[str, bytes]
"""The bytes of a chunk; of an h5ad file under the name ""."""


def told_by(objects: Objects) -> Told:
    """What the file says of itself; raises OSError or KeyError where it is no chunk."""
    return told_in(_opened(objects))


def told_in(source: io.BytesIO | Path) -> Told:
    """The same of an open or a local file; its arrays are not read."""
    with h5py.File(source, "r") as opened:
        file: Any = opened
        n_obs, n_vars = (int(size) for size in file["X"].attrs["shape"])
        fingerprint = str(file[f"uns/{UNS_KEY}/fingerprint"].asstr()[()])
        layer_nnz = {name: len(layer["data"]) for name, layer in file["layers"].items()}
        return Told(fingerprint=fingerprint, n_obs=n_obs, n_vars=n_vars, nnz=len(file["X/data"]), layer_nnz=layer_nnz)


def read_chunk(objects: Objects) -> "AnnData":
    """The whole of it, in memory."""
    from anndata.io import read_elem

    with h5py.File(_opened(objects), "r") as file:
        adata: Any = read_elem(file)
    return adata


def read_cells(objects: Objects, rows: slice) -> "AnnData":
    """Some of its cells; the others' X is not decoded."""
    from anndata import AnnData
    from anndata.io import read_elem, sparse_dataset

    with h5py.File(_opened(objects), "r") as opened:
        file: Any = opened
        parts: dict[str, Any] = {name: read_elem(file[name]) for name in ("obs", "var", "uns")}
        layers = {name: sparse_dataset(layer)[rows] for name, layer in file["layers"].items()}
        parts["obsm"] = {name: array[rows] for name, array in file["obsm"].items()}
        x = sparse_dataset(file["X"])[rows]
        parts["obs"] = parts["obs"].iloc[rows]
        return AnnData(X=x, layers=layers, **parts)


def gene_joinids(objects: Objects) -> np.ndarray:
    """soma_joinids of its genes in order, (n_vars,) int64; raises OSError or KeyError where it is no chunk."""
    with h5py.File(_opened(objects), "r") as opened:
        genes: Any = opened["var/soma_joinid"]
        return genes[:]


def _opened(objects: Objects) -> io.BytesIO:
    return io.BytesIO(objects[""])
