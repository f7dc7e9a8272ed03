"""Whatever cells a subset has, its plan partitions them; spans and blocks cover what is to be made, in order."""

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.census.tiles import TILE
from cxg_assets.ingest.plan.chunk_plan import Chunk, read_plan, write_plan
from cxg_assets.ingest.plan.spans import plan_spans
from cxg_assets.ingest.x.blocks import plan_blocks
from cxg_assets_tests.ingest.plan.test_chunk_plan import plan_of
from cxg_assets_tests.properties.profile import PROPERTY

LARGEST = 2**63 - 1
NEIGHBOURS = st.tuples(st.integers(0, 4 * TILE), st.integers(1, 60)).map(lambda run: {*range(run[0], sum(run))})
SPARSE = st.sets(st.integers(0, 10**9), max_size=40)
HUGE = st.sets(st.integers(LARGEST - 3 * TILE, LARGEST) | st.integers(0, LARGEST), max_size=6)
JOINIDS = (
    st.tuples(NEIGHBOURS, SPARSE, HUGE).map(lambda parts: sorted(set().union(*parts)))
    | st.integers(0, LARGEST).map(lambda one: [one])
).map(lambda joinids: np.array(joinids, np.int64))
CHUNK_SIZES = st.integers(1, 12) | st.integers(1, 120) | st.just(10**12)


@settings(PROPERTY, max_examples=120)
@given(joinids=JOINIDS, chunk_size=CHUNK_SIZES, seed=st.integers(0, 1000))
def test_any_cells_are_partitioned_in_order_as_numpy_says(joinids: np.ndarray, chunk_size: int, seed: int) -> None:
    nnz = np.random.default_rng(seed).integers(0, 60_000, len(joinids))

    plan = plan_of(joinids, nnz=nnz, chunk_size=chunk_size)

    cuts = range(chunk_size, len(joinids), chunk_size)
    parts, counts = np.split(joinids, cuts), np.split(nnz, cuts)
    assert [chunk.key for chunk in plan.chunks] == [f"{number:05d}" for number in range(len(parts))]
    edges = np.cumsum([0, *(len(part) for part in parts)]).tolist()
    assert [(chunk.row_start, chunk.row_stop) for chunk in plan.chunks] == list(pairwise(edges))
    np.testing.assert_array_equal(
        np.concatenate([joinids[chunk.row_start : chunk.row_stop] for chunk in plan.chunks]), joinids
    )
    assert [chunk.n_obs for chunk in plan.chunks] == [len(part) for part in parts]
    assert [chunk.nnz for chunk in plan.chunks] == [int(count.sum()) for count in counts]
    assert [chunk.n_tiles for chunk in plan.chunks] == [len(np.unique(part // TILE)) for part in parts]
    assert [(chunk.first_joinid, chunk.last_joinid) for chunk in plan.chunks] == [(p[0], p[-1]) for p in parts]
    assert len({chunk.fingerprint for chunk in plan.chunks}) == len({plan.path(c) for c in plan.chunks}) == len(parts)
    assert plan.header.subset.n_obs == len(joinids)
    assert plan.header.cells_of_first == len(parts[0])
    with tempfile.TemporaryDirectory() as folder:
        write_plan(plan, Path(folder) / "plan.parquet")
        assert read_plan(Path(folder) / "plan.parquet") == plan


@settings(PROPERTY)
@given(
    joinids=JOINIDS,
    chunk_size=st.integers(1, 12),
    missing=st.sets(st.integers(0, 119)),
    n_workers=st.integers(1, 6),
    span_budget=st.integers(1, 400_000),
    block_budget=st.integers(1, 100_000),
    seed=st.integers(0, 1000),
)
def test_spans_and_their_blocks_cover_what_is_missing_once_and_in_order(
    joinids: np.ndarray,
    chunk_size: int,
    missing: set[int],
    n_workers: int,
    span_budget: int,
    block_budget: int,
    seed: int,
) -> None:
    nnz = np.random.default_rng(seed).integers(0, 60_000, len(joinids))
    plan = plan_of(joinids, nnz=nnz, chunk_size=chunk_size)
    chunks = [chunk for number, chunk in enumerate(plan.chunks) if number in missing]

    spans = plan_spans(chunks, n_workers, span_budget)

    assert [chunk for span in spans for chunk in span.chunks] == chunks
    for span in spans:
        assert span.chunks
        total = sum(chunk.nnz for chunk in span.chunks if isinstance(chunk, Chunk))
        assert total <= span_budget + max(chunk.nnz for chunk in chunks)
        rows = np.concatenate([np.arange(chunk.row_start, chunk.row_stop) for chunk in span.chunks])
        blocks = list(plan_blocks(joinids[rows], nnz[rows], block_budget))
        np.testing.assert_array_equal(np.concatenate([rows[block.start : block.stop] for block in blocks]), rows)
        for block in blocks:
            n_rows = block.stop - block.start
            assert n_rows > 0
            assert n_rows == 1 or nnz[rows][block.start : block.stop].sum() <= block_budget
