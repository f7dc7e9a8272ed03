"""COO → CSR for what TileDB returns: a counting sort in two passes, without the GIL.

TileDB hands a sparse array over tile by tile. Inside a tile the points are sorted by row, so a row's points come in
runs, and a stable counting sort by row leaves the columns sorted when there is one fragment. That is checked, not
assumed. scipy's own conversion sorts what is sorted already and holds the GIL (design measurement: 25M non-zeros a
second against over 100M here).
"""

from dataclasses import dataclass

import numba
import numpy as np
import pyarrow as pa
import scipy.sparse


@dataclass(frozen=True, eq=False)
class CsrRows:
    """Rows of X in compressed form; columns are sorted within a row.

    Attributes:
        indptr: (n_rows + 1,) int64.
        indices: (nnz,) int32 column numbers.
        data: (nnz,) values of the layer's dtype.
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray

    @property
    def n_rows(self) -> int:
        """Rows held."""
        return len(self.indptr) - 1

    def rows(self, start: int, stop: int) -> "CsrRows":
        """Rows start … stop-1, sharing memory."""
        first, last = self.indptr[start], self.indptr[stop]
        return CsrRows(self.indptr[start : stop + 1] - first, self.indices[first:last], self.data[first:last])


class CsrBuilder:
    """Collects the tables of one read and turns them into rows in the order that was asked for."""

    def __init__(self, joinids: np.ndarray, column_of: np.ndarray, dtype: np.dtype) -> None:
        """Prepares for one read.

        Args:
            joinids: (n_rows,) int64 soma_joinids of the cells in the wanted order, each once.
            column_of: int32, the column number for each gene's soma_joinid.
            dtype: Type of the layer's values.
        """
        order = np.argsort(joinids, kind="stable").astype(np.int32)
        self._sorted_joinids = joinids[order]
        self._row_of = order
        self._column_of = column_of
        self._dtype = dtype
        self._counts = np.zeros(len(joinids) + 1, dtype=np.int64)
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, table: pa.Table) -> None:
        """Takes points as SOMA returns them: int64 `soma_dim_0`, int64 `soma_dim_1`, `soma_data`.

        Coordinates are narrowed to int32 at once; the table can be released.
        """
        for batch in table.to_batches():
            rows = np.empty(batch.num_rows, dtype=np.int32)
            _place_rows(batch["soma_dim_0"].to_numpy(), self._sorted_joinids, self._row_of, rows, self._counts)
            columns = batch["soma_dim_1"].to_numpy().astype(np.int32)
            self._parts.append((rows, columns, batch["soma_data"].to_numpy()))

    def build(self) -> CsrRows:
        """The rows of everything added. Call once; frees what was added as it goes."""
        indptr = np.cumsum(self._counts)
        indices = np.empty(indptr[-1], dtype=np.int32)
        data = np.empty(indptr[-1], dtype=self._dtype)
        next_free = indptr[:-1].copy()
        self._parts.reverse()
        while self._parts:
            rows, columns, values = self._parts.pop()
            _scatter(rows, columns, values, self._column_of, next_free, indices, data)
        if not _columns_sorted(indptr, indices):
            matrix = scipy.sparse.csr_matrix(
                (data, indices, indptr), shape=(len(indptr) - 1, int(self._column_of.max()) + 1), copy=False
            )
            matrix.sort_indices()
            indices, data = matrix.indices.astype(np.int32, copy=False), matrix.data
        return CsrRows(indptr, indices, data)


@numba.njit(nogil=True, cache=True)
def _place_rows(joinids, sorted_joinids, row_of, rows, counts):  # pragma: no cover - compiled
    """Looks up each point's row (a joinid repeats in runs, so one search serves many points) and counts per row."""
    previous = np.int64(-1)
    row = np.int32(0)
    for point in range(joinids.shape[0]):
        joinid = joinids[point]
        if joinid != previous:
            previous = joinid
            row = row_of[np.searchsorted(sorted_joinids, joinid)]
        rows[point] = row
        counts[row + 1] += 1


@numba.njit(nogil=True, cache=True)
def _scatter(rows, columns, values, column_of, next_free, indices, data):  # pragma: no cover - compiled
    """Puts each point at the next free place of its row."""
    for point in range(rows.shape[0]):
        row = rows[point]
        place = next_free[row]
        next_free[row] = place + 1
        indices[place] = column_of[columns[point]]
        data[place] = values[point]


@numba.njit(nogil=True, cache=True)
def _columns_sorted(indptr, indices):  # pragma: no cover - compiled
    for row in range(indptr.shape[0] - 1):
        for place in range(indptr[row] + 1, indptr[row + 1]):
            if indices[place] < indices[place - 1]:
                return False
    return True
