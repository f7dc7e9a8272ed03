"""Rows built from points equal what scipy makes of them, in whatever order they come."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.x.csr import CsrBuilder, CsrRows

N_CELLS, N_GENES = 5_000, 300
TILE = 64
ORDERS = ["rows", "tiles", "shuffled"]


@dataclass(frozen=True, eq=False)
class Read:
    """What one read asks for and what it should give."""

    joinids: np.ndarray
    column_of: np.ndarray
    points: pa.Table
    expected: sp.csr_matrix


def make_read(seed: int, n_rows: int, n_genes: int, density: float, order: str, dtype: str = "float32") -> Read:
    """Random cells of a random matrix, its points in some order; many rows are empty at low density."""
    rng = np.random.default_rng(seed)
    joinids = rng.choice(N_CELLS, n_rows, replace=False).astype(np.int64)
    genes = np.sort(rng.choice(N_GENES, n_genes, replace=False))
    column_of = np.full(N_GENES, -1, np.int32)
    column_of[genes] = np.arange(n_genes)
    row, column = np.nonzero(rng.random((n_rows, n_genes)) < density)
    values = rng.integers(1, 1000, len(row)).astype(dtype)
    expected = sp.csr_matrix((values, (row, column)), shape=(n_rows, n_genes))
    cell, gene = joinids[row], genes[column]
    place = {
        "rows": np.lexsort((gene, cell)),
        "tiles": np.lexsort((gene, cell, gene // TILE, cell // TILE)),
        "shuffled": rng.permutation(len(row)),
    }[order]
    points = pa.table({"soma_dim_0": cell[place], "soma_dim_1": gene[place], "soma_data": values[place]})
    return Read(joinids, column_of, points, expected)


def build(read: Read, cuts: list[int], dtype: str = "float32", *, exact: bool = True) -> CsrRows:
    builder = CsrBuilder(read.joinids, read.column_of, np.dtype(dtype), exact=exact)
    for start, stop in zip([0, *cuts], [*cuts, read.points.num_rows], strict=True):
        builder.add(read.points.slice(start, stop - start))
    return builder.build()


def assert_equal(rows: CsrRows, expected: sp.csr_matrix) -> None:
    assert (rows.indptr.dtype, rows.indices.dtype, rows.data.dtype) == (np.int64, np.int32, expected.data.dtype)
    np.testing.assert_array_equal(rows.indptr, expected.indptr)
    np.testing.assert_array_equal(rows.indices, expected.indices)
    np.testing.assert_array_equal(rows.data, expected.data)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    n_rows=st.integers(1, 60),
    n_genes=st.integers(1, N_GENES),
    density=st.sampled_from([0.0, 0.001, 0.02, 0.5, 1.0]),
    order=st.sampled_from(ORDERS),
    parts=st.lists(st.floats(0, 1), max_size=4),
)
def test_rows_equal_those_of_scipy(
    seed: int, n_rows: int, n_genes: int, density: float, order: str, parts: list[float]
) -> None:
    read = make_read(seed, n_rows, n_genes, density, order)
    cuts = sorted(int(part * read.points.num_rows) for part in parts)

    assert_equal(build(read, cuts), read.expected)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    wanted_rows=st.integers(1, 60),
    wanted_genes=st.integers(1, 80),
    density=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    order=st.sampled_from(ORDERS),
)
def test_points_of_other_cells_and_genes_are_dropped(
    seed: int, wanted_rows: int, wanted_genes: int, density: float, order: str
) -> None:
    read = make_read(seed, 60, 80, density, order)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(60)[:wanted_rows]
    columns = np.sort(rng.permutation(80)[:wanted_genes])
    column_of = np.full(N_GENES, -1, np.int32)
    column_of[np.flatnonzero(read.column_of >= 0)[columns]] = np.arange(wanted_genes)
    wanted = Read(read.joinids[rows], column_of, read.points, read.expected[rows][:, columns].sorted_indices())

    assert_equal(build(wanted, [read.points.num_rows // 3], exact=False), wanted.expected)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    n_genes=st.integers(1, N_GENES),
    n_empty=st.integers(0, 40),
    density=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    order=st.sampled_from(ORDERS),
)
def test_genes_in_any_order_with_empty_columns_among_them(
    seed: int, n_genes: int, n_empty: int, density: float, order: str
) -> None:
    read = make_read(seed, 30, n_genes, density, order)
    column = np.random.default_rng(seed).permutation(n_genes + n_empty)[:n_genes].astype(np.int32)
    column_of = np.where(read.column_of < 0, -1, column[read.column_of]).astype(np.int32)
    rows, columns = read.expected.nonzero()
    moved = (read.expected.data, (rows, column[columns]))
    expected = sp.csr_matrix(moved, shape=(30, n_genes + n_empty)).sorted_indices()

    assert_equal(build(Read(read.joinids, column_of, read.points, expected), []), expected)


def test_a_value_that_is_there_twice_stays_twice() -> None:
    column_of = np.array([1, 0], np.int32)
    values = pa.array([1, 2, 3], pa.float32())
    points = pa.table({"soma_dim_0": [3, 3, 3], "soma_dim_1": [0, 1, 0], "soma_data": values})
    builder = CsrBuilder(np.array([3]), column_of, np.dtype(np.float32), exact=True)
    builder.add(points)

    rows = builder.build()

    assert (rows.indices.tolist(), rows.data.tolist()) == ([0, 1, 1], [2.0, 1.0, 3.0])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint16"])
def test_values_keep_the_type_of_the_layer(dtype: str) -> None:
    read = make_read(1, 20, 50, 0.3, "tiles", dtype)

    assert_equal(build(read, [], dtype), read.expected)


def test_a_table_of_several_batches_counts_whole() -> None:
    read = make_read(2, 40, 100, 0.2, "tiles")
    builder = CsrBuilder(read.joinids, read.column_of, np.dtype("float32"), exact=True)

    builder.add(pa.Table.from_batches(read.points.to_batches(max_chunksize=17)))

    assert_equal(builder.build(), read.expected)


def test_a_read_without_points_gives_empty_rows() -> None:
    read = make_read(3, 7, 10, 0.0, "rows")

    rows = CsrBuilder(read.joinids, read.column_of, np.dtype("float32"), exact=True).build()

    assert rows.n_rows == 7
    assert_equal(rows, read.expected)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), density=st.sampled_from([0.0, 0.1, 0.9]))
def test_some_rows_are_a_slice_of_all(data: st.DataObject, density: float) -> None:
    read = make_read(4, 30, 40, density, "rows")
    start = data.draw(st.integers(0, 30))
    stop = data.draw(st.integers(start, 30))

    some = build(read, []).rows(start, stop)

    assert some.n_rows == stop - start
    assert_equal(some, read.expected[start:stop])
