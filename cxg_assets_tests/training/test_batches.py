"""What the loader hands out is what anndata reads from the same files, every cell once an epoch."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.training import Batch, batches
from cxg_assets_tests.ingested import Ingested
from cxg_assets_tests.training.conftest import N_OBS, Cells, joinids


def differing(x: Any, other: Any) -> int:
    return (x != other).nnz


def assert_equal(batch: Batch, cells: Cells, labels: dict[str, list[str]]) -> None:
    expected = cells.of(batch.joinids)
    assert batch.x.shape == expected.shape
    x = batch.x.to_scipy()
    assert x.has_canonical_format
    assert x.dtype == np.float32
    assert differing(x, expected.X) == 0
    assert x.nnz == expected.X.nnz
    assert batch.labels.keys() == labels.keys()
    for name, codes in batch.labels.items():
        assert codes.dtype == np.int64
        assert [labels[name][code] for code in codes] == expected.obs[name].tolist()


@pytest.mark.parametrize("shuffle", [True, False], ids=["shuffled", "in order"])
def test_batches_are_the_rows_of_the_files(url: str, cells: Cells, shuffle: bool) -> None:
    loader = batches(
        url, batch_size=64, labels=["cell_type", "donor_id"], shuffle=shuffle, buffer_size=200, run_size=30
    )
    seen: list[int] = []
    for batch in loader:
        assert_equal(batch, cells, loader.labels)
        seen += batch.joinids.tolist()
    assert sorted(seen) == sorted(cells.joinids)
    assert (seen == cells.joinids) != shuffle
    assert loader.genes == tuple(cells.adata.var.feature_id)


def test_an_s3_dataset_gives_the_same_batches(in_s3: StoreLocator, url: str) -> None:
    here, there = (
        batches(place, name, labels=["cell_type"], seed=3) for place, name in ((url, None), (in_s3, "blood_normal"))
    )
    for batch, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(batch.joinids, other.joinids)
        np.testing.assert_array_equal(batch.labels["cell_type"], other.labels["cell_type"])
        assert differing(batch.x.to_scipy(), other.x.to_scipy()) == 0


def test_a_split_has_its_own_cells(url: str, in_folder: Ingested, cells: Cells) -> None:
    parts = in_folder.plan.header.subset.parts
    seen = {part: joinids(batches(url, split=part)) for part in parts}
    assert {part: len(some) for part, some in seen.items()} == parts
    assert sorted(seen["train"] + seen["test"]) == sorted(cells.joinids)


@pytest.mark.parametrize("place", ["{url}/dataset.json", "{url}/", "{path}"])
def test_a_dataset_is_found_by_its_folder_and_its_pointer(url: str, place: str) -> None:
    found = batches(place.format(url=url, path=url.removeprefix("file://")))
    assert found.n_obs == N_OBS


def test_two_epochs_differ_and_the_same_seed_gives_the_same(url: str, cells: Cells) -> None:
    first, again, other = (batches(url, batch_size=100, seed=seed) for seed in (1, 1, 2))
    epochs = [joinids(first), joinids(first)]
    assert epochs == [joinids(again), joinids(again)]
    assert epochs[0] != epochs[1]
    assert joinids(other) not in epochs
    again.set_epoch(0)
    assert joinids(again) == epochs[0]
    assert joinids(batches(url, batch_size=100, seed=1, epochs=2)) == epochs[0] + epochs[1]
    assert all(sorted(some) == sorted(cells.joinids) for some in epochs)


def test_neighbours_in_the_files_are_not_neighbours_in_a_batch(url: str, cells: Cells) -> None:
    place = {joinid: number for number, joinid in enumerate(cells.joinids)}
    seen = [place[joinid] for joinid in joinids(batches(url, buffer_size=450, run_size=20, batch_size=50))]
    assert np.abs(np.diff(seen)).mean() > N_OBS / 6


def test_drop_last_leaves_out_what_does_not_fill_a_batch(url: str) -> None:
    loader = batches(url, batch_size=64, drop_last=True)
    sizes = [batch.n_obs for batch in loader]
    assert sizes == [64] * len(loader) == [64] * (N_OBS // 64)


def test_memory_is_told_before_it_is_used(url: str) -> None:
    small, large = (batches(url, buffer_size=size, batch_size=50).memory_bytes for size in (100, 800))
    assert 2 * small < large


def test_a_batch_can_be_dense(url: str) -> None:
    batch = next(iter(batches(url, batch_size=10, buffer_size=10)))
    np.testing.assert_array_equal(batch.x.dense(), batch.x.to_scipy().toarray())


def test_labels_of_a_dataset_that_does_not_list_them_are_those_of_its_files(url: str, tmp_path: Path) -> None:
    shutil.copytree(url.removeprefix("file://"), tmp_path / "blood_normal")
    pointer = tmp_path / "blood_normal" / "dataset.json"
    told = json.loads(pointer.read_text())
    assert told.pop("labels")
    pointer.write_text(json.dumps(told))
    asked = ["cell_type", "donor_id"]
    assert batches(tmp_path / "blood_normal", labels=asked).labels == batches(url, labels=asked).labels
