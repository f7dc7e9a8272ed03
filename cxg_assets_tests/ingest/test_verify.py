"""Verification finds each kind of damage, names the chunk, and finds nothing in a sound dataset."""

import hashlib
import io
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import pandas as pd
import pytest

from cxg_assets.ingest.dataset import Dataset, publish
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.store import StoreLocator
from cxg_assets.ingest.verify import Problem, verify
from cxg_assets_tests.conftest import BLOOD_NORMAL, Bucket, Ingest
from cxg_assets_tests.ingested import Ingested

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

MakeSpec = Callable[..., SubsetSpec]


@pytest.fixture(scope="module")
def sound(ingest: Ingest, spec: MakeSpec, tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    store = tmp_path_factory.mktemp("verify").as_uri()
    return ingest(spec(value_filter=BLOOD_NORMAL, max_obs=300, chunk_size=100), store)


@pytest.fixture
def made(sound: Ingested, tmp_path: Path) -> Ingested:
    """A copy of the sound chunks, to be damaged."""
    shutil.copytree(sound.locator.url.removeprefix("file://"), tmp_path / "store")
    locator = StoreLocator(url=(tmp_path / "store").as_uri())
    return replace(sound, locator=locator, store=locator.open())


@pytest.fixture
def dataset(made: Ingested) -> Dataset:
    return publish(made.store, made.plan, made.reports, made.census)


def accept(made: Ingested, dataset: Dataset, number: int) -> None:
    """Puts size and checksum of a changed file into the manifest, as somebody who wants to hide the change would."""
    manifest = pd.read_parquet(io.BytesIO(made.store.get(dataset.manifest_path)))
    data = made.file(made.plan.chunks[number]).read_bytes()
    manifest.loc[number, "sha256"] = hashlib.sha256(data).hexdigest()
    manifest.loc[number, "n_bytes"] = len(data)
    sink = io.BytesIO()
    manifest.to_parquet(sink)
    made.store.put(dataset.manifest_path, sink.getvalue())


def assert_one(problems: list[Problem], chunk: str, what: str) -> None:
    assert [problem.chunk for problem in problems] == [chunk]
    assert re.search(what, problems[0].what)


def test_a_sound_dataset_has_no_problems(made: Ingested, dataset: Dataset) -> None:
    done: list[int] = []

    assert verify(made.store, dataset, None, on_chunk=lambda: done.append(1)) == []
    assert verify(made.store, dataset, made.census) == []
    assert len(done) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"layer": "normalized", "compression": "none"},
        {"genes": None, "organism": "mus_musculus", "chunk_size": 70},
        {"obs_columns": (), "value_filter": "nnz > 1800", "max_obs": 90},
    ],
    ids=str,
)
def test_other_sound_datasets_have_no_deep_problems(
    ingest: Ingest, spec: MakeSpec, store_url: str, change: dict[str, object]
) -> None:
    other = ingest(spec(**{"max_obs": 100, **change}), store_url)

    assert verify(other.store, publish(other.store, other.plan, other.reports, other.census), other.census) == []


def test_a_dataset_in_s3_is_verified_too(ingest: Ingest, spec: MakeSpec, s3: Bucket) -> None:
    in_s3 = ingest(spec(max_obs=60, chunk_size=40), s3.locator())
    published = publish(in_s3.store, in_s3.plan, in_s3.reports, in_s3.census)
    assert verify(in_s3.store, published, in_s3.census) == []

    in_s3.store.delete(in_s3.plan.path(in_s3.plan.chunks[1]))

    assert_one(verify(in_s3.store, published, None), "00001", f"missing: {in_s3.reports[1].uri} is not there")


def test_one_flipped_bit_is_found(made: Ingested, dataset: Dataset) -> None:
    file = made.file(made.plan.chunks[1])
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)

    assert_one(verify(made.store, dataset, None), "00001", f"{file.as_uri()} has SHA-256 .*, the manifest says")


def test_a_truncated_file_is_found(made: Ingested, dataset: Dataset) -> None:
    file = made.file(made.plan.chunks[2])
    file.write_bytes(file.read_bytes()[:1_000])

    assert_one(verify(made.store, dataset, None), "00002", f"{file.as_uri()} has 1,000 bytes, the manifest says")


def test_a_missing_file_is_found(made: Ingested, dataset: Dataset) -> None:
    made.file(made.plan.chunks[0]).unlink()

    assert_one(
        verify(made.store, dataset, None), "00000", f"missing: {made.file(made.plan.chunks[0]).as_uri()} is not there"
    )


def test_every_problem_is_told_in_plan_order(made: Ingested, dataset: Dataset) -> None:
    for number in (2, 0):
        made.file(made.plan.chunks[number]).unlink()

    assert [problem.chunk for problem in verify(made.store, dataset, None)] == ["00000", "00002"]


def test_a_chunk_that_the_manifest_leaves_out_is_found(made: Ingested, dataset: Dataset) -> None:
    manifest = pd.read_parquet(io.BytesIO(made.store.get(dataset.manifest_path)))
    sink = io.BytesIO()
    manifest.drop(index=1).to_parquet(sink)
    made.store.put(dataset.manifest_path, sink.getvalue())

    assert_one(verify(made.store, dataset, None), "00001", "not in the manifest")


@pytest.mark.parametrize(
    ("array", "what"),
    [
        ("X/data", "X differs from the Census in its data"),
        ("X/indices", "X differs from the Census in its indices"),
        ("obs/cell_type/codes", "obs differs from the Census: .*cell_type"),
        ("obs/soma_joinid", "obs differs from the Census: .*soma_joinid"),
        ("var/feature_length", "var differs from the Census: .*feature_length"),
    ],
)
def test_a_changed_value_with_a_matching_checksum_is_found_deeply(
    made: Ingested, dataset: Dataset, array: str, what: str
) -> None:
    with h5py.File(made.file(made.plan.chunks[1]), "r+") as file:
        values = file[array]
        assert isinstance(values, h5py.Dataset)
        values[5] = 3 if values[5] != 3 else 2
    accept(made, dataset, 1)

    assert verify(made.store, dataset, None) == []
    assert_one(verify(made.store, dataset, made.census), "00001", what)


def test_other_names_of_the_cells_are_found_deeply(made: Ingested, dataset: Dataset) -> None:
    with h5py.File(made.file(made.plan.chunks[1]), "r+") as file:
        names = file["obs/_index"]
        assert isinstance(names, h5py.Dataset)
        names[7] = "another"
    accept(made, dataset, 1)

    assert_one(verify(made.store, dataset, made.census), "00001", "obs_names are not the soma_joinids of the cells")


def test_cells_of_another_chunk_are_found_deeply(made: Ingested, dataset: Dataset) -> None:
    """They agree with the Census, but they are not the cells that the plan means."""
    first, second, _ = made.plan.chunks
    made.file(first).write_bytes(made.file(second).read_bytes())
    accept(made, dataset, 0)

    problems = verify(made.store, dataset, made.census)

    assert {problem.chunk for problem in problems} == {"00000"}
    assert any("obs differs from the Census" in problem.what for problem in problems)
