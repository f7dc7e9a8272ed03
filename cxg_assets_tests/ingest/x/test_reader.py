"""Blocks cover the rows in order; what is read equals X."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import tiledbsoma as soma
from hypothesis import given
from hypothesis import strategies as st

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.tiles import TILE
from cxg_assets.ingest.x.blocks import plan_blocks
from cxg_assets.ingest.x.reader import BUFFER_BYTES, XReader
from cxg_assets_tests.conftest import FRAGMENT_EDGE, N_OBS


@given(
    joinids=st.lists(st.integers(0, 20_000), min_size=1, max_size=80, unique=True),
    seed=st.integers(0, 1_000),
    budget=st.integers(1, 50_000),
)
def test_blocks_cover_the_rows_in_order_within_their_budget(joinids: list[int], seed: int, budget: int) -> None:
    cells = np.sort(joinids)
    nnz = np.random.default_rng(seed).integers(0, 5_000, len(cells))

    blocks = list(plan_blocks(cells, nnz, budget))

    assert [blocks[0].start, *(block.stop for block in blocks)] == [0, *(b.start for b in blocks[1:]), len(cells)]
    for block in blocks:
        assert block.stop > block.start
        assert block.stop - block.start == 1 or nnz[block.start : block.stop].sum() <= budget


@given(joinids=st.lists(st.integers(0, 4 * TILE), min_size=10, max_size=80, unique=True), n_cells=st.integers(1, 30))
def test_a_tile_is_cut_only_when_it_does_not_fit_a_block(joinids: list[int], n_cells: int) -> None:
    cells = np.sort(joinids)
    tiles = cells // TILE

    for block, _ in pairwise(plan_blocks(cells, np.full(len(cells), 10), 10 * n_cells)):
        if tiles[block.stop - 1] == tiles[block.stop]:
            assert tiles[block.start] == tiles[block.stop]
            assert block.stop - block.start == n_cells


def test_no_rows_make_no_blocks() -> None:
    assert list(plan_blocks(np.empty(0, np.int64), np.empty(0, np.int64))) == []


@pytest.fixture(scope="module")
def opened(census_uri: str) -> Any:
    uri = f"{census_uri}/census_data/homo_sapiens/ms/RNA/X/raw"
    with CensusLocator(uri=census_uri).open_x(uri, n_threads=1, buffer_bytes=BUFFER_BYTES) as array:
        yield array


@pytest.fixture(scope="module")
def x(census: soma.Collection) -> Any:
    """All of X/raw, by the Census's own reader."""
    return sp.csr_matrix(census["census_data"]["homo_sapiens"].ms["RNA"].X["raw"].read().coos().concat().to_scipy())


@pytest.mark.parametrize("genes", ["all", "some", "one"])
@pytest.mark.parametrize(
    "cells",
    [
        np.arange(N_OBS),
        np.arange(2_040, 2_060),
        np.arange(FRAGMENT_EDGE - 5, FRAGMENT_EDGE + 5),
        np.array([N_OBS - 1]),
        np.array([2_500, 3, 2_047, 1_299, 1_300, 2_048, 0]),
        np.random.default_rng(3).permutation(N_OBS)[:300],
    ],
    ids=["all", "over a tile edge", "over a fragment edge", "one", "unordered", "shuffled"],
)
def test_rows_read_equal_x(opened: soma.SparseNDArray, x: Any, cells: np.ndarray, genes: str) -> None:
    n_vars = x.shape[1]
    chosen = {"all": np.arange(n_vars), "some": np.arange(5, n_vars, 7), "one": np.array([n_vars // 2])}[genes]

    rows = XReader(opened, chosen).read(cells)

    expected = x[cells][:, chosen]
    expected.sort_indices()
    assert (rows.indptr.dtype, rows.indices.dtype, rows.data.dtype) == (np.int64, np.int32, np.float32)
    np.testing.assert_array_equal(rows.indptr, expected.indptr)
    np.testing.assert_array_equal(rows.indices, expected.indices)
    np.testing.assert_array_equal(rows.data, expected.data)


def test_one_reader_serves_many_reads(opened: soma.SparseNDArray, x: Any) -> None:
    reader = XReader(opened, np.arange(x.shape[1]))

    sums = [reader.read(np.arange(start, start + 100)).data.sum() for start in (0, 1_000, 0)]

    assert sums == [x[start : start + 100].sum() for start in (0, 1_000, 0)]
