"""Batches of zarr chunks are those of h5ad chunks of the same cells, in the same order."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.formats import FORMATS, ZARR
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.training import Batch, batches
from cxg_assets_tests.conftest import Bucket, Ingest
from cxg_assets_tests.ingested import Ingested

MakeSpec = Callable[..., SubsetSpec]
ASKED: dict[str, Any] = {"batch_size": 32, "labels": ["cell_type", "dataset_id"], "seed": 3}


@pytest.fixture(scope="module")
def by_way(ingest: Ingest, spec: MakeSpec, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ingested]:
    """The same cells as h5ad, and as zarr by compression."""
    folder = tmp_path_factory.mktemp("ways")
    ways = {"h5ad": {}, **{name: {"format": ZARR, "compression": name} for name in FORMATS[ZARR].compressions}}
    made = {
        name: ingest(spec(max_obs=260, chunk_size=90, **way), (folder / name).as_uri()) for name, way in ways.items()
    }
    for ingested in made.values():
        publish(ingested.store, ingested.plan, ingested.reports, ingested.census)
    return made


def stream(place: Any) -> list[Batch]:
    return list(batches(place, "blood_normal", **ASKED))


def assert_same(found: list[Batch], expected: list[Batch]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.joinids, other.joinids)
        for name in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(one.x, name), getattr(other.x, name))
        for name in other.labels:
            np.testing.assert_array_equal(one.labels[name], other.labels[name])


@pytest.mark.parametrize("compression", FORMATS[ZARR].compressions)
def test_a_shuffled_epoch_is_that_of_h5ad(by_way: dict[str, Ingested], compression: str) -> None:
    assert_same(stream(by_way[compression].locator), stream(by_way["h5ad"].locator))


def test_the_same_in_s3(ingest: Ingest, spec: MakeSpec, by_way: dict[str, Ingested], s3: Bucket) -> None:
    made = ingest(spec(max_obs=260, chunk_size=90, format=ZARR), s3.locator())
    publish(made.store, made.plan, made.reports, made.census)

    assert_same(stream(s3.locator()), stream(by_way["h5ad"].locator))


def test_labels_and_damage_are_told_as_of_h5ad(by_way: dict[str, Ingested], tmp_path: Path) -> None:
    made = by_way["lz4"]
    with pytest.raises(BadInput, match=r"labels: 'tissue' is no column of obs of .*; there is cell_type, dataset_id"):
        batches(made.locator, "blood_normal", labels=["tissue"])
    assert batches(made.locator, "blood_normal", **ASKED).labels == batches(
        by_way["h5ad"].locator, "blood_normal", **ASKED
    ).labels  # fmt: skip
    shutil.copytree(Path(made.locator.url.removeprefix("file://")), tmp_path / "store")
    locator = replace(made.locator, url=(tmp_path / "store").as_uri())
    for name, change, says in (
        ("X/data/c/0", lambda data: data[:-100], "chunk 00001: .* is damaged"),
        ("X/indptr/c/0", None, "chunk 00001 is missing: .*X/indptr/c/0"),
        ("zarr.json", lambda data: data[:90], "chunk 00001: .* is damaged"),
    ):
        file = tmp_path / "store" / made.plan.path(made.plan.chunks[1]) / name
        whole = file.read_bytes()
        if change is None:
            file.unlink()
        else:
            file.write_bytes(change(whole))
        with pytest.raises(CxgError, match=says):
            stream(locator)
        file.write_bytes(whole)
