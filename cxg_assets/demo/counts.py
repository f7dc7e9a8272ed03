"""The counts of demo cells, drawn from their two parents and laid out in TileDB's global order.

The loops are compiled and release the GIL, so that strips of cells are made on all cores.
"""

import itertools
from concurrent.futures import Executor
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from cxg_assets.demo.layout import TILE_EXTENT
from cxg_assets.demo.population import Cells
from cxg_assets.demo.reference import Reference

_Int64s = npt.NDArray[np.int64]
_UInt16s = npt.NDArray[np.uint16]

# The real builder keeps 15 of the 23 bits of a normalized value's mantissa, which helps compression.
_DROPPED_BITS = 8


CELL_STATISTICS = np.dtype([("nnz", np.int32), ("raw_sum", np.float64), ("raw_sum_of_squares", np.float64)])
"""What obs says about the raw counts of a cell."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CountBlock:
    """The non-zero counts of consecutive cells in global order: by tile of 2048 x 2048, row-major in it.

    Attributes:
        cell: soma_dim_0, int64.
        gene: soma_dim_1, int64.
        raw: Counts, float32.
        normalized: Counts over the cell's sum, float32 with 15 bits of mantissa.
        statistics: Of the block's cells, `CELL_STATISTICS`.
        nnz_by_dataset: Cells of each dataset with counts for each gene, int64, (n_datasets, n_vars).
    """

    cell: npt.NDArray[np.int64]
    gene: npt.NDArray[np.int64]
    raw: npt.NDArray[np.float32]
    normalized: npt.NDArray[np.float32]
    statistics: npt.NDArray[np.void]
    nnz_by_dataset: npt.NDArray[np.int64]


def draw_counts(
    cells: Cells, *, start: int, reference: Reference, is_measured: npt.NDArray[np.bool_], threads: Executor
) -> CountBlock:
    """Draw the counts of cells with joinids `start` onwards; `is_measured` is that of `population.measured_genes`."""
    n_cells = len(cells.key)
    # Strips end where a row of tiles ends, because a tile's cells must be written together.
    inner = range((start // TILE_EXTENT + 1) * TILE_EXTENT, start + n_cells, TILE_EXTENT)
    bounds = [0, *(edge - start for edge in inner), n_cells]

    statistics = np.empty(n_cells, CELL_STATISTICS)
    n_in_reference = np.diff(reference.indptr)

    def draw(rows: slice) -> tuple[_UInt16s, _UInt16s]:
        parents = cells.parent_a[rows], cells.parent_b[rows]
        # The most non-zeros that the cells of these parents can have.
        capacity = sum(int(n_in_reference[parent].sum()) for parent in parents)
        gene, count = np.empty(capacity, np.uint16), np.empty(capacity, np.uint16)
        total = _draw_strip(
            cells.key[rows],
            *parents,
            cells.keep_a[rows],
            cells.keep_b[rows],
            cells.source[rows],
            reference.indptr,
            reference.var_joinid,
            reference.count,
            is_measured,
            gene,
            count,
            statistics[rows],
        )
        return gene[:total].copy(), count[:total].copy()

    strips = [slice(*strip) for strip in itertools.pairwise(bounds)]
    drawn = list(threads.map(draw, strips))
    offset = np.concatenate([[0], np.cumsum([len(gene) for gene, _ in drawn])])

    n_datasets, n_vars = is_measured.shape
    block = CountBlock(
        cell=np.empty(offset[-1], np.int64),
        gene=np.empty(offset[-1], np.int64),
        raw=np.empty(offset[-1], np.float32),
        normalized=np.empty(offset[-1], np.float32),
        statistics=statistics,
        nnz_by_dataset=np.zeros((n_datasets, n_vars), np.int64),
    )

    def arrange(i: int) -> npt.NDArray[np.int64]:
        rows, span = strips[i], slice(offset[i], offset[i + 1])
        nnz_by_dataset = np.zeros((n_datasets, n_vars), np.int64)
        _arrange_strip(
            start + rows.start,
            *drawn[i],
            cells.dataset[rows],
            statistics[rows],
            block.cell[span],
            block.gene[span],
            block.raw[span],
            block.normalized[span],
            nnz_by_dataset,
        )
        _round_half_to_even(block.normalized[span].view(np.int32))
        return nnz_by_dataset

    for strip_nnz_by_dataset in threads.map(arrange, range(len(strips))):
        block.nnz_by_dataset[:] += strip_nnz_by_dataset
    return block


@numba.njit(nogil=True, cache=True)
def _draw_strip(
    key: npt.NDArray[np.uint64],
    parent_a: _Int64s,
    parent_b: _Int64s,
    keep_a: npt.NDArray[np.float64],
    keep_b: npt.NDArray[np.float64],
    source: _Int64s,
    indptr: _Int64s,
    var_joinid: _UInt16s,
    reference_count: _UInt16s,
    is_measured: npt.NDArray[np.bool_],
    gene: _UInt16s,
    count: _UInt16s,
    statistics: npt.NDArray[np.void],
) -> int:
    """Draw a strip into `gene`, `count` (cell after cell, genes ascending) and `statistics`; return its non-zeros.

    A cell's counts are those of its two parents, each count kept with probability `keep_a` or `keep_b`.
    """
    end_of_cell = 1 << 16
    n = 0
    for i in range(len(key)):
        state = key[i]
        first, total, squares = n, 0, 0
        a, a_end = indptr[parent_a[i]], indptr[parent_a[i] + 1]
        b, b_end = indptr[parent_b[i]], indptr[parent_b[i] + 1]
        while a < a_end or b < b_end:
            gene_a = numba.int64(var_joinid[a]) if a < a_end else end_of_cell
            gene_b = numba.int64(var_joinid[b]) if b < b_end else end_of_cell
            joinid = min(gene_a, gene_b)
            kept = 0
            if gene_a == joinid:
                for _ in range(reference_count[a]):
                    state, u = _next_uniform(state)
                    kept += u < keep_a[i]
                a += 1
            if gene_b == joinid:
                for _ in range(reference_count[b]):
                    state, u = _next_uniform(state)
                    kept += u < keep_b[i]
                b += 1
            if kept > 0 and is_measured[source[i], joinid]:
                gene[n] = joinid
                count[n] = kept
                total += kept
                squares += kept * kept
                n += 1
        statistics[i].nnz, statistics[i].raw_sum, statistics[i].raw_sum_of_squares = n - first, total, squares
    return n


@numba.njit(nogil=True, cache=True, inline="always")
def _next_uniform(state: np.uint64) -> tuple[np.uint64, float]:
    """Step splitmix64: return the new state and a number in [0, 1)."""
    state += numba.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> numba.uint64(30))) * numba.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numba.uint64(27))) * numba.uint64(0x94D049BB133111EB)
    z = z ^ (z >> numba.uint64(31))
    return state, numba.float64(z >> numba.uint64(11)) * 2.0**-53


@numba.njit(nogil=True, cache=True)
def _arrange_strip(
    start: int,
    gene: _UInt16s,
    count: _UInt16s,
    dataset: _Int64s,
    statistics: npt.NDArray[np.void],
    out_cell: _Int64s,
    out_gene: _Int64s,
    raw: npt.NDArray[np.float32],
    normalized: npt.NDArray[np.float32],
    nnz_by_dataset: _Int64s,
) -> None:
    """Put a strip's counts in global order and count them by dataset.

    Cells come one after the other with ascending genes, so one cursor a cell is enough: no sorting.
    """
    n_cells = len(statistics)
    end = np.cumsum(statistics["nnz"])
    cursor = end - statistics["nnz"]
    n = 0
    for tile_end in range(TILE_EXTENT, nnz_by_dataset.shape[1] + TILE_EXTENT, TILE_EXTENT):
        for i in range(n_cells):
            k = cursor[i]
            while k < end[i] and gene[k] < tile_end:
                out_cell[n] = start + i
                out_gene[n] = gene[k]
                raw[n] = count[k]
                normalized[n] = count[k] / statistics[i].raw_sum
                nnz_by_dataset[dataset[i], gene[k]] += 1
                n += 1
                k += 1
            cursor[i] = k


@numba.njit(nogil=True, cache=True)
def _round_half_to_even(bits: npt.NDArray[np.int32]) -> None:
    """Round float32 values, seen as int32, to fewer bits of mantissa, in place."""
    half = (1 << (_DROPPED_BITS - 1)) - 1
    keep = ~((1 << _DROPPED_BITS) - 1)
    for i in range(len(bits)):
        bits[i] = (bits[i] + ((bits[i] >> _DROPPED_BITS) & 1) + half) & keep
