"""How X is tiled in the Census: what decides the cost of reading it."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa

TILE = 2048
"""Rows and columns of an X tile in the Census (its builder's space tiles): the least that a read decodes."""

NNZ_PER_CELL = 2_000
"""Taken for a cell's nnz where obs does not tell it: the upper end of what human releases have."""


def cell_nnz(obs: pa.RecordBatch | pa.Table) -> np.ndarray:
    """Expected non-zeros of each cell, (n_obs,) int64: obs tells it in current builds, else `NNZ_PER_CELL`."""
    if "nnz" not in obs.schema.names:
        return np.full(obs.num_rows, NNZ_PER_CELL, dtype=np.int64)
    return obs["nnz"].to_numpy().astype(np.int64)


def n_fragments(array_uri: str) -> int:
    """How many fragments an array in a folder has; 1 of one elsewhere, where to list them would take requests."""
    parts = urlsplit(array_uri)
    if parts.scheme not in ("", "file"):
        return 1
    fragments = Path(unquote(parts.path)) / "__fragments"
    return max(sum(1 for _ in fragments.iterdir()), 1) if fragments.is_dir() else 1
