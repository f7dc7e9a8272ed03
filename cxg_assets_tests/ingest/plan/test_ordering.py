"""The order of a plan's cells, against pandas: parts one after the other, pools of rows of tiles, mixed inside."""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.census.tiles import TILE
from cxg_assets.ingest.choice.draws import hash_cells
from cxg_assets.ingest.plan import ordering
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan
from cxg_assets.ingest.plan.making import make_plan
from cxg_assets.ingest.plan.passes import cutting
from cxg_assets.ingest.plan.spans import plan_spans
from cxg_assets.ingest.sampling import Order, Split
from cxg_assets.ingest.selection.subset import Subset, part_field
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile, write_feather
from cxg_assets_tests.ingest.plan.test_chunk_plan import LAYERS, RELEASE, selection_of

PARTS = ("train", "validation", "test")
SHARES = {"train": 0.5, "validation": 0.25, "test": 0.25}


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pools, temporary files and batches are small enough that a test has many of them."""
    with monkeypatch.context() as patched:
        patched.setattr(ordering, "POOL_NNZ", 3_000)
        patched.setattr(ordering, "ROWS_PER_FILE", 700)
        patched.setattr(cutting, "PIECE_NNZ", 9_000)
        patched.setattr(ordering, "ROWS_PER_BATCH", 128)
        yield


def ordered(obs: pd.DataFrame, *, order: Order, chunk_size: int) -> tuple[ChunkPlan, pd.DataFrame]:
    """The plan of a subset with these cells, and its obs file."""
    has_split = "split" in obs
    split = Split(shares=SHARES) if has_split else None
    spec = SubsetSpec(name="blood", organism="homo_sapiens", chunk_size=chunk_size, order=order, split=split)
    columns: dict[str, Any] = {"soma_joinid": obs.soma_joinid, "nnz": obs.nnz, "dataset_id": obs.dataset_id}
    table = pa.table(columns)
    parts: dict[str, int] = {}
    if has_split:
        codes = pa.array(obs.split.to_numpy().astype("int8"))
        table = table.append_column(part_field(), pa.DictionaryArray.from_arrays(codes, pa.array(PARTS)))
        parts = {name: int((obs.split == number).sum()) for number, name in enumerate(PARTS)}
    subset = Subset(
        name="blood",
        release=RELEASE,
        selection=selection_of(spec),
        fingerprint="5" * 64,
        n_obs=len(obs),
        n_obs_before=len(obs),
        n_vars=1,
        n_vars_before=1,
        layers=LAYERS,
        parts=parts,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        var = pa.table({"soma_joinid": pa.array([0], pa.int64()), "feature_id": ["ENSG0"]})
        write_feather(folder / "obs", table.to_batches(), table.schema, 128)
        write_feather(folder / "var", var.to_batches(), var.schema)
        plan = make_plan(spec, subset, folder / "obs", folder / "var", folder / "ordered")
        assert {path.name for path in folder.iterdir()} == {"obs", "var", "ordered"} - (
            set() if plan.header.has_own_obs else {"ordered"}
        )
        with FeatherFile(folder / ("ordered" if plan.header.has_own_obs else "obs")) as file:
            return plan, file.read().to_pandas()


def reference(obs: pd.DataFrame, order: Order, plan: ChunkPlan) -> list[int]:
    """The same order by pandas: soma_joinids of all cells."""
    cells = obs.assign(part=obs.split if "split" in obs else 0, tile=obs.soma_joinid // TILE)
    if order.kind == "census":
        return cells.sort_values(["part", "soma_joinid"]).soma_joinid.tolist()
    if order.kind == "fully_shuffled":
        hashes = hash_cells(cells.soma_joinid.to_numpy(), order.seed, 4)
        return cells.assign(cell=hashes).sort_values(["part", "cell"]).soma_joinid.tolist()
    tiles = pd.Series(hash_cells(np.arange(int(cells.tile.max()) + 1), order.seed, 3))
    cells = cells.assign(drawn=cells.tile.map(tiles), cell=hash_cells(cells.soma_joinid.to_numpy(), order.seed, 4))
    cells = cells.sort_values(["part", "drawn", "soma_joinid"])
    place, size, pool = cells.groupby("part").cumcount(), plan.header.chunk_size, int(plan.header.pool_obs or 0)
    per_chunk = -(-size // pool)
    number = place // pool if pool >= size else place // size * per_chunk + place % size // pool
    return cells.assign(pool=number).sort_values(["part", "pool", "cell"]).soma_joinid.tolist()


CELLS = st.builds(
    lambda seed, n_obs, spread, has_split: _cells(seed, n_obs, spread, has_split=has_split),
    st.integers(0, 99),
    st.integers(6, 3_000),
    st.sampled_from([1, 7, 400]),
    st.booleans(),
)


def _cells(seed: int, n_obs: int, spread: int, *, has_split: bool) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    joinids = np.sort(generator.choice(n_obs * spread + 10, n_obs, replace=False))
    obs = pd.DataFrame({"soma_joinid": joinids, "nnz": generator.integers(1, 40, n_obs)})
    obs["dataset_id"] = (joinids // 900).astype(str)
    if has_split:
        obs["split"] = np.concatenate([[0, 1, 2], generator.integers(0, 3, n_obs - 3)])
    return obs


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("kind", ["census", "shuffled", "fully_shuffled"])
@pytest.mark.parametrize("chunk_size", [7, 64, 1_000])
@pytest.mark.parametrize("seed", range(4))
def test_the_order_is_that_of_pandas(kind: str, chunk_size: int, seed: int) -> None:
    for n_obs, spread, has_split in ((6, 7, True), (777, 400, True), (2_900, 7, False), (2_900, 1, True)):
        obs = _cells(seed, n_obs, spread, has_split=has_split)
        order = Order(kind=kind, seed=seed)

        plan, found = ordered(obs, order=order, chunk_size=chunk_size)

        assert found.soma_joinid.tolist() == reference(obs, order, plan)
        again = obs.set_index("soma_joinid").loc[found.soma_joinid]
        assert (found.nnz.tolist(), found.dataset_id.tolist()) == (again.nnz.tolist(), again.dataset_id.tolist())


@pytest.mark.usefixtures("small_files")
@settings(max_examples=40, deadline=None)
@given(obs=CELLS, chunk_size=st.integers(1, 500), seed=st.integers(0, 5), n_workers=st.integers(1, 5))
def test_a_chunk_is_of_one_part_and_one_pool_and_spans_do_not_cut_pools(
    obs: pd.DataFrame, chunk_size: int, seed: int, n_workers: int
) -> None:
    plan, found = ordered(obs, order=Order(kind="shuffled", seed=seed), chunk_size=chunk_size)

    assert sum(chunk.n_obs for chunk in plan.chunks) == len(obs)
    for chunk in plan.chunks:
        cells = found.iloc[chunk.row_start : chunk.row_stop]
        assert chunk.nnz == cells.nnz.sum()
        assert (chunk.first_joinid, chunk.last_joinid) == (cells.soma_joinid.min(), cells.soma_joinid.max())
        if "split" in obs:
            assert set(cells.split) == {chunk.split}
    assert max(chunk.n_obs for chunk in plan.chunks) <= plan.header.cells_of_first
    spans = plan_spans(plan.chunks, n_workers)
    assert [chunk for span in spans for chunk in span.chunks] == list(plan.chunks)
    pools = [{chunk.pool for chunk in span.chunks if isinstance(chunk, Chunk)} for span in spans]
    assert sum(map(len, pools)) == len(set().union(*pools))


@pytest.mark.usefixtures("small_files")
@settings(max_examples=40, deadline=None)
@given(obs=CELLS, chunk_size=st.integers(1, 500), seed=st.integers(0, 5))
def test_two_passes_cut_the_cells_into_whole_tiles_and_into_the_pools_of_the_plan(
    obs: pd.DataFrame, chunk_size: int, seed: int
) -> None:
    plan, found = ordered(obs, order=Order(kind="fully_shuffled", seed=seed), chunk_size=chunk_size)
    passes = plan.two_passes
    assert passes is not None

    assert [(piece.row_start, piece.row_stop) for piece in passes.pieces] == [
        (start, stop) for start, stop in itertools.pairwise((0, *passes.piece_stops))
    ]
    tiles = (obs.soma_joinid // TILE).to_numpy()
    assert passes.piece_stops[-1] == len(obs)
    assert all(tiles[stop - 1] != tiles[stop] for stop in passes.piece_stops[:-1])
    sums = [obs.nnz[piece.row_start : piece.row_stop].sum() for piece in passes.pieces]
    assert all(total >= 9_000 for total in sums[:-1])
    parts = found.split.cat.codes.to_numpy() if "split" in obs else np.zeros(len(obs), int)
    pools = passes.pools(found.soma_joinid.to_numpy(), parts.astype(np.int64))
    per_pool = int(plan.header.pool_obs or 0)
    for chunk in plan.chunks:
        assert chunk.pool is not None
        in_chunk = np.arange(chunk.n_obs)
        expected = chunk.pool + (in_chunk // per_pool if per_pool < chunk_size else 0 * in_chunk)
        assert pools[chunk.row_start : chunk.row_stop].tolist() == expected.tolist()


def test_another_seed_is_another_order_and_the_same_seed_the_same_plan() -> None:
    obs = _cells(0, 900, 7, has_split=False)
    plans = [ordered(obs, order=Order(kind="shuffled", seed=seed), chunk_size=100)[0] for seed in (1, 1, 2)]

    assert plans[0] == plans[1]
    assert plans[0].header.plan_id != plans[2].header.plan_id


def test_census_order_without_a_split_has_no_obs_file_of_its_own() -> None:
    plan, _ = ordered(_cells(0, 300, 7, has_split=False), order=Order(seed=7), chunk_size=100)

    assert plan.header.obs_path == "blood/subset/5555555555555555/obs.feather"


def test_mixing_is_near_a_permutation_where_pools_hold_many_tiles() -> None:
    obs = _cells(3, 60_000, 40, has_split=False)
    obs["dataset_id"] = (obs.soma_joinid // 60_000).astype(str)
    in_order, shuffled = (ordered(obs, order=Order(kind=kind), chunk_size=1_000)[0] for kind in ("census", "shuffled"))

    assert in_order.header.mixing is None
    mixing = shuffled.header.mixing
    assert mixing is not None
    assert mixing.entropy > 0.95
    assert mixing.datasets > 0.95 * mixing.datasets_permuted
