"""Readers share an epoch without overlap, and whatever is interrupted goes on where it was."""

import itertools
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.training import batches
from cxg_assets.training.order.epoch import Epoch, Share
from cxg_assets_tests.properties.profile import PROPERTY
from cxg_assets_tests.training.conftest import Cells, joinids


@pytest.mark.parametrize("n_batches", [0, 1, 4, 9, 12])
def test_a_resumed_stream_is_the_stream(url: str, n_batches: int) -> None:
    whole, first = (batches(url, batch_size=70, buffer_size=210, run_size=25, seed=5) for _ in range(2))
    expected = [batch.joinids.tolist() for batch in (*whole, *whole)]
    stream = iter(first)
    seen = [next(stream).joinids.tolist() for _ in range(n_batches)]
    state = json.loads(json.dumps(first.state_dict()))
    resumed = batches(url, batch_size=70, buffer_size=210, run_size=25, seed=5, n_threads=1)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    seen += [batch.joinids.tolist() for batch in resumed]
    seen += [batch.joinids.tolist() for batch in resumed]
    assert seen == expected


def test_drawn_cells_resume_as_well(url: str) -> None:
    options = {"batch_size": 70, "buffer_size": 210, "weights": {"cell_type": "balanced"}}
    whole, broken, resumed = (batches(url, **options) for _ in range(3))
    expected = [batch.joinids.tolist() for batch in whole]
    stream = iter(broken)
    seen = [next(stream).joinids.tolist() for _ in range(5)]
    resumed.load_state_dict(broken.state_dict())
    assert seen + [batch.joinids.tolist() for batch in resumed] == expected


def test_a_state_survives_the_call_of_set_epoch_that_a_training_loop_makes(url: str) -> None:
    loader = batches(url, batch_size=70)
    stream = iter(loader)
    next(stream)
    state = loader.state_dict()
    rest = joinids(list(stream))
    loader.load_state_dict(state)
    loader.set_epoch(state["epoch"])
    assert joinids(loader) == rest


def test_an_iteration_that_was_left_begins_its_epoch_again(url: str) -> None:
    loader = batches(url, batch_size=70)
    first = next(iter(loader)).joinids.tolist()
    assert next(iter(loader)).joinids.tolist() == first


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_an_epoch(url: str, cells: Cells, world_size: int) -> None:
    ranks = [batches(url, batch_size=64, rank=rank, world_size=world_size) for rank in range(world_size)]
    seen = [joinids(rank) for rank in ranks]
    assert sorted(joinid for some in seen for joinid in some) == sorted(cells.joinids)
    assert max(map(len, seen)) - min(map(len, seen)) <= 1
    assert len({len(rank) for rank in ranks}) == 1


def test_two_ranks_of_two_workers_share_an_epoch(url: str, cells: Cells) -> None:
    ranks = [batches(url, batch_size=32, rank=rank, world_size=2) for rank in range(2)]
    copies = [(pickle.loads(pickle.dumps(rank)), worker) for rank in ranks for worker in range(2)]
    seen = [joinids(list(rank.iterate(worker, 2))) for rank, worker in copies]
    assert sorted(joinid for some in seen for joinid in some) == sorted(cells.joinids)


@settings(PROPERTY)
@given(
    n_obs=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    run_size=st.integers(1, 50),
    batch_size=st.integers(2, 30),
    n_readers=st.integers(1, 5),
    seed=st.integers(0, 2**62),
    number=st.integers(0, 100),
    shuffle=st.booleans(),
)
def test_every_cell_comes_to_one_reader_once(
    n_obs: list[int], run_size: int, batch_size: int, n_readers: int, seed: int, number: int, shuffle: bool
) -> None:
    n_readers = min(n_readers, sum(n_obs))
    epoch = Epoch(n_obs, run_size, seed, number, shuffle=shuffle)
    assert epoch.n_cells == sum(n_obs)
    seen: list[tuple[int, int]] = []
    for reader in range(n_readers):
        share = Share(n_cells=epoch.n_cells, batch_size=batch_size, number=reader, n_readers=n_readers, drop_last=False)
        edges = [share.edge(batch) for batch in range(share.n_batches + 1)]
        sizes = [stop - start for start, stop in itertools.pairwise(edges)]
        assert all(0 < size <= batch_size for size in sizes)
        for start, stop in itertools.pairwise(edges):
            pieces = epoch.pieces(start, stop)
            assert sum(len(piece.rows) for piece in pieces) == stop - start
            seen += [(piece.file, row) for piece in pieces for row in piece.rows.tolist()]
    assert sorted(seen) == [(file, row) for file, n in enumerate(n_obs) for row in range(n)]


@settings(PROPERTY)
@given(
    n_obs=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    run_size=st.integers(1, 40),
    n_in_buffer=st.integers(1, 50),
    data=st.data(),
)
def test_drawn_cells_come_as_often_as_they_were_drawn(
    n_obs: list[int], run_size: int, n_in_buffer: int, data: st.DataObject
) -> None:
    n = sum(n_obs)
    counts = np.array(data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n).filter(any)), np.int32)
    epoch = Epoch(n_obs, run_size, seed=1, epoch=3, shuffle=True, counts=counts)
    seen = np.zeros(n, np.int32)
    firsts = np.cumsum([0, *n_obs])
    for start in range(0, epoch.n_cells, n_in_buffer):
        for piece in epoch.pieces(start, min(start + n_in_buffer, epoch.n_cells)):
            assert (np.diff(piece.rows) >= 0).all()
            np.add.at(seen, firsts[piece.file] + piece.rows, 1)
    np.testing.assert_array_equal(seen, counts)


@settings(PROPERTY, max_examples=8)
@given(buffer_size=st.integers(40, 400), run_size=st.integers(1, 200), n_threads=st.integers(1, 3))
def test_threads_and_buffers_change_no_cell(
    url: str, cells: Cells, buffer_size: int, run_size: int, n_threads: int
) -> None:
    loader = batches(url, batch_size=40, buffer_size=buffer_size, run_size=run_size, n_threads=n_threads)
    seen = list(loader)
    assert sorted(joinids(seen)) == sorted(cells.joinids)
    assert sum(float(batch.x.data.sum()) for batch in seen) == float(cells.adata.X.sum())
