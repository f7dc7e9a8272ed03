"""The loop over the counts of cells, compiled by numba; it does not hold the GIL."""

from collections.abc import Sequence

import numba
import numpy as np

from cxg_assets.ingest.x.csr import CsrRows


class SetsOfGenes:
    """Which sets each gene is in.

    Attributes:
        n: How many sets there are.
    """

    def __init__(self, gene_joinids: np.ndarray, sets: Sequence[np.ndarray]) -> None:
        """Number the sets.

        Args:
            gene_joinids: (n_vars,) int64 soma_joinids of the genes that are read, ascending.
            sets: soma_joinids of each set, all of them among these genes.
        """
        self.n = len(sets)
        genes = np.concatenate([np.searchsorted(gene_joinids, joinids) for joinids in sets])
        numbers = np.repeat(np.arange(self.n), [len(joinids) for joinids in sets])
        order = np.argsort(genes, kind="stable")
        self._numbers = numbers[order].astype(np.int32)
        self._starts = np.searchsorted(genes[order], np.arange(len(gene_joinids) + 1)).astype(np.int32)

    def count(self, rows: CsrRows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Count what cells have in each set.

        Args:
            rows: (n_rows, n_vars) counts.

        Returns:
            Sums of counts, (n_rows, n) float64; genes with counts, (n_rows, n) int64; sums over all genes that were
            read, (n_rows,) float64.
        """
        sums = np.zeros((rows.n_rows, self.n))
        nnz = np.zeros((rows.n_rows, self.n), np.int64)
        totals = np.zeros(rows.n_rows)
        _count(rows.indptr, rows.indices, rows.data, self._starts, self._numbers, sums, nnz, totals)
        return sums, nnz, totals


@numba.njit(nogil=True, cache=True)
def _count(indptr, indices, data, starts, numbers, sums, nnz, totals):
    for row in range(len(totals)):
        for place in range(indptr[row], indptr[row + 1]):
            value, gene = data[place], indices[place]
            totals[row] += value
            if value != 0:
                for entry in range(starts[gene], starts[gene + 1]):
                    sums[row, numbers[entry]] += value
                    nnz[row, numbers[entry]] += 1
