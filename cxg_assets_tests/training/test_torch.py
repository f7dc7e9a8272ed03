"""Tensors of forked and spawned workers, of ranks, and after a break, are those of one process."""

import itertools
import json
from typing import Any

import numpy as np
import pytest

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.training import batches
from cxg_assets_tests.training.conftest import Cells

torch = pytest.importorskip("torch")

from cxg_assets.training import CellDataset, CellLoader  # noqa: E402

OPTIONS: dict[str, Any] = {"batch_size": 60, "buffer_size": 180, "run_size": 25, "n_threads": 1}


def ids(loader: Any) -> list[list[int]]:
    return [batch["soma_joinid"].tolist() for batch in loader]


def test_tensors_are_the_arrays(url: str) -> None:
    arrays = batches(url, labels=["cell_type", "donor_id"], **OPTIONS)
    dataset = CellDataset(url, labels=["cell_type", "donor_id"], **OPTIONS)
    dense = CellDataset(url, labels=[], dense=True, genes=arrays.genes[:500], **OPTIONS)
    for batch, tensors, filled in zip(arrays, dataset, dense, strict=True):
        assert tensors.keys() == {"X", "soma_joinid", "cell_type", "donor_id"}
        assert tensors["X"].layout == torch.sparse_csr
        assert tensors["X"].dtype == filled["X"].dtype == torch.float32
        np.testing.assert_array_equal(tensors["X"].to_dense().numpy(), batch.x.dense())
        np.testing.assert_array_equal(filled["X"].numpy(), batch.x.dense()[:, :500])
        np.testing.assert_array_equal(tensors["cell_type"].numpy(), batch.labels["cell_type"])
        assert tensors["donor_id"].dtype == torch.int64


@pytest.mark.parametrize(
    ("start", "store", "num_workers"), [("fork", "folder", 2), ("fork", "s3", 2), ("spawn", "s3", 1)]
)
def test_workers_share_an_epoch(
    url: str, in_s3: StoreLocator, cells: Cells, start: str, store: str, num_workers: int
) -> None:
    dataset = CellDataset(in_s3, "blood_normal", **OPTIONS) if store == "s3" else CellDataset(url, **OPTIONS)
    loader = CellLoader(dataset, num_workers=num_workers, multiprocessing_context=start)
    seen: list[int] = []
    for batch in loader:
        expected = cells.of(batch["soma_joinid"].numpy())
        assert float(batch["X"].values().sum()) == float(expected.X.sum())
        seen += batch["soma_joinid"].tolist()
    assert sorted(seen) == sorted(cells.joinids)


def test_each_epoch_of_kept_workers_is_another(url: str, cells: Cells) -> None:
    loader = CellLoader(CellDataset(url, **OPTIONS), num_workers=2, persistent_workers=True)
    first, second = ids(loader), ids(loader)
    assert first != second
    assert len(first) == len(second) == len(loader)
    for epoch in (first, second):
        assert sorted(itertools.chain.from_iterable(epoch)) == sorted(cells.joinids)
    loader.set_epoch(0)
    assert ids(loader) == first


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_resumed_loader_goes_on_where_it_was(url: str, num_workers: int) -> None:
    whole, broken, resumed = (CellLoader(CellDataset(url, **OPTIONS), num_workers=num_workers) for _ in range(3))
    expected = ids(whole) + ids(whole)
    seen = ids(broken)
    for n_batches, batch in enumerate(broken, 1):
        seen.append(batch["soma_joinid"].tolist())
        if n_batches == 3:
            break
    resumed.load_state_dict(json.loads(json.dumps(broken.state_dict())))
    resumed.set_epoch(1)
    assert seen + ids(resumed) == expected
    assert resumed.state_dict()["epoch"] == 2


def test_a_dataset_alone_resumes_and_goes_on(url: str) -> None:
    whole, broken, resumed = (CellDataset(url, **OPTIONS) for _ in range(3))
    expected = ids(whole) + ids(whole)
    stream = iter(broken)
    seen = [next(stream)["soma_joinid"].tolist() for _ in range(4)]
    resumed.load_state_dict(json.loads(json.dumps(broken.state_dict())))
    assert seen + ids(resumed) + ids(resumed) == expected


def test_ranks_are_those_of_torch_distributed(url: str, cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    seen: list[int] = []
    for rank in range(2):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        loader = CellLoader(CellDataset(url, **OPTIONS), num_workers=2)
        seen += itertools.chain.from_iterable(ids(loader))
    assert sorted(seen) == sorted(cells.joinids)


def test_a_model_learns_from_the_batches(url: str) -> None:
    dataset = CellDataset(url, genes=batches(url).genes[:2_000], normalize=1e4, log1p=True, **OPTIONS)
    model = torch.nn.Linear(dataset.batches.n_vars, len(dataset.batches.labels["cell_type"]))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses: list[float] = []
    for _ in range(3):
        for batch in dataset:
            loss = torch.nn.functional.cross_entropy(torch.sparse.mm(batch["X"], model.weight.T), batch["cell_type"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_what_does_not_fit_is_refused(url: str) -> None:
    dataset = CellDataset(url, **OPTIONS)
    with pytest.raises(BadInput, match="batch_size: 32 was given to the CellLoader; give it to the CellDataset"):
        CellLoader(dataset, batch_size=32)
    with pytest.raises(BadInput, match="epochs: an iteration of a CellDataset is one epoch"):
        CellDataset(url, epochs=2)
    state = dataset.state_at(0, 5, num_workers=2)
    with pytest.raises(BadInput, match="state: it is of num_workers 2, this is 1"):
        CellLoader(dataset).load_state_dict(state)
    dataset.load_state_dict(state)
    with pytest.raises(BadInput, match="state: it is of num_workers 2, this is 1"):
        next(iter(dataset))
