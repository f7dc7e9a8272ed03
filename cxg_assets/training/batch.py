"""What the loader hands out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True, kw_only=True, eq=False)
class CsrBatch:
    """X of some cells, compressed by rows; the columns of a row ascend.

    Attributes:
        indptr: (n_obs + 1,) int32 (int64 beyond two billion non-zeros).
        indices: (nnz,) int32, columns.
        data: (nnz,) float32.
        shape: Cells and genes.
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    shape: tuple[int, int]

    def to_scipy(self) -> "csr_matrix":
        """The same arrays, not copied, as a scipy matrix."""
        from scipy.sparse import csr_matrix

        return csr_matrix((self.data, self.indices, self.indptr), shape=self.shape, copy=False)

    def dense(self) -> np.ndarray:
        """(n_obs, n_vars) float32."""
        from cxg_assets.training.loops import fill_dense

        filled = np.zeros(self.shape, np.float32)
        fill_dense(self.indptr, self.indices, self.data, filled)
        return filled


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Some cells. Its arrays are views of what the loader holds for many batches: copy what is to be kept for long.

    Attributes:
        x: X, (n_obs, n_vars).
        labels: Of each label column the code of each cell, (n_obs,) int64: its place in `Batches.labels`, -1 for none.
        joinids: (n_obs,) int64, soma_joinid.
    """

    x: CsrBatch
    labels: Mapping[str, np.ndarray]
    joinids: np.ndarray

    @property
    def n_obs(self) -> int:
        """Cells."""
        return len(self.joinids)
