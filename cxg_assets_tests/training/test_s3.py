"""Of S3 only what is needed is fetched, and a forked process, which cannot use obstore, reads the same."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from cxg_assets.ingest.errors import CxgError, StoreError
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.training import batches
from cxg_assets.training.h5ad import object_bytes
from cxg_assets.training.h5ad.object_bytes import ObjectBytes
from cxg_assets_tests.ingested import Ingested
from cxg_assets_tests.training.conftest import joinids


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of what was fetched."""
    sizes: list[int] = []
    read, read_ranges = ObjectBytes.read, ObjectBytes.read_ranges

    def counted(self: ObjectBytes, start: int, stop: int) -> bytes:
        data = read(self, start, stop)
        sizes.append(len(data))
        return data

    def counted_ranges(self: ObjectBytes, ranges: list[tuple[int, int]]) -> list[memoryview]:
        parts = read_ranges(self, ranges)
        sizes.extend(map(len, parts))
        return parts

    monkeypatch.setattr(ObjectBytes, "read", counted)
    monkeypatch.setattr(ObjectBytes, "read_ranges", counted_ranges)
    return sizes


def test_gene_tables_are_not_fetched(in_s3: StoreLocator, in_folder: Ingested, fetched: list[int]) -> None:
    stored = sum(report.n_bytes for report in in_folder.reports)
    loader = batches(in_s3, "blood_normal")
    joinids(loader)
    assert sum(fetched) < 0.2 * stored
    n_first = len(fetched)
    joinids(loader)  # what describes the files is known now
    assert len(fetched) - n_first <= 2 * len(in_folder.plan.chunks)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_bytes, "_forked", True)


def test_a_forked_process_reads_the_same(in_s3: StoreLocator, url: str, forked: None) -> None:
    loader = pickle.loads(pickle.dumps(batches(in_s3, "blood_normal", batch_size=100)))
    for batch, other in zip(loader, batches(url, batch_size=100), strict=True):
        np.testing.assert_array_equal(batch.joinids, other.joinids)
        np.testing.assert_array_equal(batch.x.data, other.x.data)


def test_a_forked_process_names_what_is_missing(in_s3: StoreLocator, in_folder: Ingested, forked: None) -> None:
    with pytest.raises(FileNotFoundError, match=r"s3://training/store/nothing is not there"):
        ObjectBytes(in_s3, "nothing").read(0, 10)
    elsewhere = replace(in_s3, url="s3://no-such-bucket/store")
    with pytest.raises(StoreError, match=r"cannot read s3://no-such-bucket/store/nothing: .*NoSuchBucket"):
        ObjectBytes(elsewhere, "nothing").read(0, 10)


def test_a_chunk_that_is_gone_from_s3_is_named(in_s3: StoreLocator, in_folder: Ingested) -> None:
    loader = batches(in_s3, "blood_normal")
    path = in_folder.plan.path(in_folder.plan.chunks[1])
    store = in_s3.open()
    data = store.get(path)
    store.delete(path)
    try:
        with pytest.raises(CxgError, match=r"chunk 00001 is missing: s3://training/store/.* writes what is missing"):
            joinids(loader)
    finally:
        store.put(path, data)
