"""A plan is compared with its subset: rows in no chunk, in several, beyond its end, and cells that are there twice."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.storage.feather import ROWS_PER_BATCH
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.plan import verify_plan
from cxg_assets_tests.ingest.verify.test_selection import SPEC, store_both

N = ROWS_PER_BATCH + 77


def planned(folder: Path, joinids: np.ndarray) -> tuple[ChunkPlan, Store]:
    """The plan of a subset of these cells, and where the subset is."""
    store, subset, _ = store_both(folder, pa.table({"soma_joinid": np.arange(10)}), joinids)
    return store_plan(SPEC, subset, store), store


def test_a_plan_as_it_was_made_passes_in_any_order_of_cells(tmp_path: Path) -> None:
    for joinids in (np.arange(N), np.random.default_rng(0).permutation(3 * N)[:N]):
        assert verify_plan(*planned(tmp_path, joinids)).passed


@pytest.mark.parametrize("seed", range(8))
def test_rows_of_random_chunks_are_counted_as_one_by_one(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    plan, store = planned(tmp_path, np.arange(N))
    starts = rng.integers(0, N, len(plan.chunks))
    stops = starts + rng.integers(-5, 30_000, len(plan.chunks))  # some beyond the end, some of no rows at all
    chunks = [
        replace(chunk, row_start=int(start), row_stop=int(stop))
        for chunk, start, stop in zip(plan.chunks, starts, stops, strict=True)
    ]
    in_chunks = np.zeros(N, np.int64)
    for start, stop in zip(starts, stops, strict=True):
        in_chunks[start:stop] += 1

    found = verify_plan(replace(plan, chunks=tuple(chunks)), store)

    assert found.facts["n_in_no_chunk"] == (in_chunks == 0).sum()
    assert found.facts["n_in_several_chunks"] == (in_chunks > 1).sum()
    n_beyond = int(np.maximum(stops - N, 0).sum())
    assert (f"chunks have {counted(n_beyond, 'row')} that the subset does not have" in found.what) is (n_beyond > 0)
    assert "does not have the least and greatest soma_joinid of its rows" in found.what


@pytest.mark.parametrize("kind", ["neighbours", "far apart", "many", "unsorted"])
def test_cells_that_are_in_the_subset_twice_are_counted(tmp_path: Path, kind: str) -> None:
    joinids = np.arange(N)
    if kind == "neighbours":
        joinids[500] = joinids[499]
    elif kind == "far apart":
        joinids[-1] = joinids[0]
    else:
        joinids = np.random.default_rng(0).integers(0, N // 2, N)
        joinids = np.sort(joinids) if kind == "many" else joinids
    n_twice = int(pd.Series(joinids).duplicated().sum())
    assert verify_plan(*planned(tmp_path, joinids)).message == (
        f"cells are in the subset twice: {n_twice:,}; materialize chunk_plan again"
    )
