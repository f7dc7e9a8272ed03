"""What decides a chunk's bytes, as one digest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cxg_assets.ingest.formats import H5AD
from cxg_assets.ingest.spec import VARIABLE

ENCODING_VERSION = 5
"""Version of the chunk format. Raise it with every change of `encoder.py`, `h5ad_template.py`, `gene_table.py` or
`hdf5_arrays.py` that changes the bytes of a chunk."""

ZARR_ENCODING_VERSION = 2
"""The same of `chunks/zarr`: of how zarr writes what h5ad files have as well."""


def encoding_version(name: str) -> int:
    """Version of the chunks of a format; that of zarr chunks moves with that of h5ad files, whose content they have."""
    return ENCODING_VERSION if name == H5AD else 100 * ENCODING_VERSION + ZARR_ENCODING_VERSION


class ChunkFingerprints:
    """SHA-256 over everything that decides a chunk's bytes; what the chunks of a plan share is hashed once.

    The arguments of the constructor and of `of` are the full list of inputs. obs and var values are not among them:
    the release decides those.
    """

    def __init__(
        self,
        *,
        provenance: Mapping[str, str],
        release_fingerprint: str,
        compression: str,
        obs_columns: Sequence[str],
        gene_joinids: np.ndarray,
        padded: Sequence[str] = (),
        genes_text: str = VARIABLE,
        categories: Mapping[str, Sequence[object]] | None = None,
        chunk_format: str = H5AD,
        scenes: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Hashes what the chunks share.

        Args:
            provenance: What every chunk's `uns` tells of its origin: release, organism, filters, layer.
            release_fingerprint: Fingerprint of the build of the Census.
            compression: Compression of the arrays.
            obs_columns: obs columns in order.
            gene_joinids: (n_vars,) int64 soma_joinids of the genes in order, -1 for those that are padded.
            padded: feature_ids of the padded genes in order: of them the release decides nothing.
            genes_text: How text of var is written.
            categories: Those of each categorical column among `obs_columns`, in order: they are of the whole subset, so
                that other cells than the chunk's decide them.
            chunk_format: One of `formats.FORMATS`.
            scenes: Of spots, what each chunk tells of all sections of the subset, by scene id.
        """
        shared = {
            "encoding_version": encoding_version(chunk_format),
            "provenance": dict(provenance),
            "release": release_fingerprint,
            "compression": compression,
            "obs_columns": list(obs_columns),
            "categories": {name: list(values) for name, values in (categories or {}).items()},
            # Says where the joinids of the genes end: those of cells may be any bytes.
            "n_vars": len(gene_joinids),
            **({"padded": list(padded)} if padded else {}),
            **({"genes_text": genes_text} if genes_text != VARIABLE else {}),
            **({} if chunk_format == H5AD else {"format": chunk_format}),
            **({"scenes": {name: dict(told) for name, told in scenes.items()}} if scenes else {}),
        }
        self._shared = hashlib.sha256(json.dumps(shared, sort_keys=True).encode())
        self._shared.update(gene_joinids.astype("<i8").tobytes())

    def of(self, chunk: str, joinids: np.ndarray, split: str | None = None) -> str:
        """The fingerprint of one chunk.

        Args:
            chunk: Its key; the chunk carries it.
            split: Its part of the split, if there is one; the chunk carries it.
            joinids: (n_obs,) int64 soma_joinids of its cells in order.
        """
        digest = self._shared.copy()
        digest.update(json.dumps(chunk).encode())
        if split is not None:
            digest.update(json.dumps({"split": split}).encode())
        digest.update(joinids.astype("<i8").tobytes())
        return digest.hexdigest()
