"""Zarr chunks have the cells of h5ad chunks, and any reader of zarr v3 opens them."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.core.buffer import cpu
from zarr.storage import MemoryStore, ObjectStore

from cxg_assets.ingest.chunks.memory import file_bytes
from cxg_assets.ingest.chunks.zarr import shards
from cxg_assets.ingest.chunks.zarr.nodes import NODE, node_bytes
from cxg_assets.ingest.dataset.load import load_dataset
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.formats import FORMATS, ZARR
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.ingest.sampling import FULLY_SHUFFLED, Order, Split
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets_tests.conftest import Bucket, Ingest
from cxg_assets_tests.ingested import Ingested, run_spans

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

MakeSpec = Callable[..., SubsetSpec]
Made = dict[str, Ingested]

ANNBATCH = "CXG_ANNBATCH_PYTHON"

_LOADED = """
import json, sys, warnings
warnings.filterwarnings("ignore")
from annbatch import DatasetCollection, Loader
collection = DatasetCollection(sys.argv[1], mode="r")
assert not collection.is_empty
loader = Loader(batch_size=16, chunk_size=8, preload_nchunks=4, shuffle=True).use_collection(collection)
cells = {}
for batch in loader:
    x = batch["X"].tocsr()
    for row, joinid in enumerate(batch["obs"]["soma_joinid"]):
        cells[int(joinid)] = [float(x[row].sum()), int(x[row].indices.sum()), batch["obs"]["cell_type"].iloc[row]]
print(json.dumps({"cells": cells, "genes": list(loader.var.index)}))
"""


@pytest.fixture(scope="module")
def made(ingest: Ingest, spec: MakeSpec, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The same cells as h5ad, and as zarr by compression."""
    folder = tmp_path_factory.mktemp("zarr")
    some: dict[str, Any] = {"max_obs": 120, "chunk_size": 70}
    ways = {"h5ad": {}, **{name: {"format": ZARR, "compression": name} for name in FORMATS[ZARR].compressions}}
    found = {name: ingest(spec(**some, **way), (folder / name).as_uri()) for name, way in ways.items()}
    assert not any(ingested.failures for ingested in found.values())
    return found


@pytest.fixture(scope="module")
def parts(ingest: Ingest, spec: MakeSpec, tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    """A published zarr dataset of two parts, fully shuffled."""
    asked = spec(
        format=ZARR,
        max_obs=300,
        chunk_size=90,
        split=Split(shares={"train": 0.7, "test": 0.3}),
        order=Order(kind=FULLY_SHUFFLED),
    )
    ingested = ingest(asked, tmp_path_factory.mktemp("parts").as_uri())
    publish(ingested.store, ingested.plan, ingested.reports, ingested.census)
    return ingested


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def frame(value: Any) -> pd.DataFrame:
    return value


@pytest.mark.parametrize("compression", FORMATS[ZARR].compressions)
def test_anndata_reads_the_same_cells_as_from_h5ad(made: Made, compression: str) -> None:
    ingested, files = made[compression], made["h5ad"]
    for chunk, file in zip(ingested.plan.chunks, files.plan.chunks, strict=True):
        adata: Any = anndata.read_zarr(ingested.file(chunk))
        expected = files.read(file)
        assert (adata.X != expected.X).nnz == 0
        assert adata.X.dtype == expected.X.dtype
        pd.testing.assert_frame_equal(adata.obs, expected.obs)
        pd.testing.assert_frame_equal(adata.var, expected.var)
        told, others = adata.uns["cxg_assets"], expected.uns["cxg_assets"]
        assert told.keys() == others.keys()
        assert {name for name in told if told[name] != others[name]} == {"fingerprint", "encoding_version"}


def test_what_the_marker_tells_at_once_is_what_each_node_tells(made: Made) -> None:
    ingested = made["lz4"]
    place = ingested.file(ingested.plan.chunks[0])
    group: Any = zarr.open_group(place, mode="r", use_consolidated=False)

    alone: Any = anndata.io.read_elem(group)
    at_once: Any = anndata.read_zarr(place)

    np.testing.assert_array_equal(alone.X.toarray(), at_once.X.toarray())
    pd.testing.assert_frame_equal(alone.obs, at_once.obs)
    told = json.loads((place / NODE).read_text())["consolidated_metadata"]["metadata"]
    assert told == {
        file.parent.relative_to(place).as_posix(): json.loads(file.read_text())
        for file in place.rglob(NODE)
        if file.parent != place
    }


def test_equal_chunks_are_equal_to_the_byte_however_the_work_is_cut(made: Made, tmp_path: Path) -> None:
    ingested = made["lz4"]
    chunks = ingested.plan.chunks
    before = {chunk.key: contents(ingested.file(chunk)) for chunk in chunks}
    for chunk in chunks:
        (ingested.file(chunk) / NODE).unlink()

    reports, failures = run_spans(ingested.job, [Span(chunks[1:]), Span(chunks[:1])])

    assert failures == []
    assert {chunk.key: contents(ingested.file(chunk)) for chunk in chunks} == before
    assert {report.chunk: (report.n_bytes, report.sha256) for report in reports} == {
        report.chunk: (report.n_bytes, report.sha256) for report in ingested.reports
    }


def test_a_report_has_the_size_of_all_objects(made: Made) -> None:
    for name in FORMATS[ZARR].compressions:
        for chunk, report in zip(made[name].plan.chunks, made[name].reports, strict=True):
            assert report.n_bytes == sum(map(len, contents(made[name].file(chunk)).values()))
            assert report.uri == made[name].file(chunk).as_uri()


@pytest.mark.parametrize("compression", FORMATS[ZARR].compressions)
def test_files_are_about_as_large_as_estimated(
    compression: str, ingest: Ingest, spec: MakeSpec, store_url: str
) -> None:
    asked = spec(genes=None, chunk_size=2_000, max_obs=2_000, format=ZARR, compression=compression)
    [report] = ingest(asked, store_url).reports

    estimate = file_bytes(report.nnz, report.n_vars, compression, chunk_format=ZARR)
    assert report.n_bytes == pytest.approx(estimate, rel=0.25)


def test_chunks_in_s3_are_those_of_a_folder_and_are_read_from_there(
    ingest: Ingest, spec: MakeSpec, made: Made, s3: Bucket
) -> None:
    in_s3 = ingest(spec(max_obs=120, chunk_size=70, format=ZARR), s3.locator())
    publish(in_s3.store, in_s3.plan, in_s3.reports, in_s3.census)
    local = made["lz4"]

    for chunk in in_s3.plan.chunks:
        place = in_s3.plan.path(chunk)
        found = {path.removeprefix(f"{place}/"): in_s3.store.get(path) for path in in_s3.store.sizes(place)}
        assert found == contents(local.file(chunk))
    loaded = load_dataset(in_s3.store, "blood_normal")
    chunk = loaded.chunk("00001")
    lazy: Any = loaded.chunk("00001", lazy=True)
    pd.testing.assert_frame_equal(frame(chunk.obs), made["h5ad"].read(made["h5ad"].plan.chunks[1]).obs)
    np.testing.assert_array_equal(lazy[3:9].to_memory().X.toarray(), chunk[3:9].X.toarray())  # type: ignore[union-attr]
    folder = in_s3.plan.path(in_s3.plan.chunks[0]).rpartition("/")[0]
    collection: Any = zarr.open_group(ObjectStore(in_s3.store.below(folder), read_only=True), mode="r")
    assert sorted(collection.keys()) == [in_s3.plan.path(chunk).split("/")[-1] for chunk in in_s3.plan.chunks]


def test_chunks_and_collections_are_loaded_as_those_of_h5ad_are(parts: Ingested) -> None:
    for split in ("train", "test"):
        loaded = load_dataset(parts.store, "blood_normal", split)
        whole: Any = loaded.cells(lazy=False)
        lazy: Any = loaded.cells()
        n_obs = parts.subset.parts[split]
        assert whole.shape == lazy.shape == (n_obs, parts.subset.n_vars)
        rows = [n_obs - 1, 0, 7]
        np.testing.assert_array_equal(lazy[rows].X.toarray(), whole[rows].X.toarray())
        assert loaded.chunk(loaded.plan.chunks[0].key).uns["cxg_assets"]["split"] == split


def test_a_shuffled_dataset_with_a_split_has_what_the_census_has(parts: Ingested) -> None:
    dataset = read_dataset(parts.store, "blood_normal")

    findings = verify(parts.store, dataset, parts.census)

    assert [finding.what for finding in findings if "/pieces-test/" not in finding.what] == []
    assert [path.split("/")[-2] for path in dataset.collections] == ["train.zarr", "test.zarr"]


@pytest.mark.skipif(ANNBATCH not in os.environ, reason=f"{ANNBATCH} names no Python (3.12 or newer) with annbatch")
def test_annbatch_loads_each_cell_of_a_part_once(parts: Ingested) -> None:
    for split in ("train", "test"):
        loaded = load_dataset(parts.store, "blood_normal", split)
        folder = parts.file(loaded.plan.chunks[0]).parent

        run = subprocess.run(
            [os.environ[ANNBATCH], "-c", _LOADED, str(folder)], check=True, capture_output=True, text=True
        )

        found = json.loads(run.stdout)
        whole: list[Any] = [loaded.chunk(chunk.key) for chunk in loaded.plan.chunks]
        expected = {
            str(joinid): [float(row.sum()), int(row.indices.sum()), cell_type]
            for adata in whole
            for joinid, row, cell_type in zip(adata.obs["soma_joinid"], adata.X, adata.obs["cell_type"], strict=True)
        }
        assert found["cells"] == expected
        assert found["genes"] == whole[0].var_names.tolist()


@given(
    values=st.lists(st.integers(0, 9), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=5),
    compression=st.sampled_from(FORMATS[ZARR].compressions),
    kind=st.sampled_from(["float32", "uint16"]),
)
def test_an_array_of_many_shards_comes_back_however_it_was_cut(
    values: list[int], cuts: list[int], compression: str, kind: str
) -> None:
    array = np.array(values, kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "INNER", 4)
        patch.setattr(shards, "SHARD", 12)
        by_cuts = [_sharded(array, some, compression) for some in (sorted(cuts), [])]

    assert by_cuts[0] == by_cuts[1]
    assert len(by_cuts[0]) == 1 + -(-len(values) // 12)
    buffers: Any = {name: cpu.Buffer.from_bytes(data) for name, data in by_cuts[0].items()}
    read: Any = zarr.open_array(MemoryStore(buffers), mode="r")
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read[:], array)


def _sharded(array: np.ndarray, cuts: list[int], compression: str) -> dict[str, bytes]:
    objects: dict[str, bytes] = {}
    sharded = shards.ShardedArray(array.dtype, compression, objects.__setitem__)
    for part in np.split(array, cuts):
        sharded.append(part)
    objects[NODE] = node_bytes(sharded.finish())
    return objects
