"""How X is tiled in the Census: what decides the cost of reading it."""

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
