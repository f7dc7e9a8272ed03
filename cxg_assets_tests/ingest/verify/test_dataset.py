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

from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.finding import Finding
from cxg_assets.ingest.layout import (
    card_path,
    citations_path,
    measured_path,
    plan_path,
    subset_json_path,
    subset_obs_path,
    subset_var_path,
)
from cxg_assets.ingest.plan.published import Dataset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.ingest.verify.dataset import Repair, damaged_chunks, verify
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


def accept(made: Ingested, dataset: Dataset, number: int) -> Dataset:
    """Puts size and checksum of a changed file into the manifest, as somebody who wants to hide the change would.

    Returns what dataset.json would have to say then.
    """
    manifest = pd.read_parquet(io.BytesIO(made.store.get(dataset.manifest_path)))
    data = made.file(made.plan.chunks[number]).read_bytes()
    manifest.loc[number, "sha256"] = hashlib.sha256(data).hexdigest()
    manifest.loc[number, "n_bytes"] = len(data)
    sink = io.BytesIO()
    manifest.to_parquet(sink)
    made.store.put(dataset.manifest_path, sink.getvalue())
    return replace(dataset, n_bytes=int(manifest["n_bytes"].sum()))


def assert_one(findings: list[Finding], chunk: str, what: str) -> None:
    assert [finding.where for finding in findings] == [chunk]
    assert re.search(what, findings[0].what)


def test_a_sound_dataset_has_no_findings(made: Ingested, dataset: Dataset) -> None:
    done: list[int] = []

    assert verify(made.store, dataset, None, on_chunk=lambda chunk: done.append(chunk.n_obs)) == []
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
def test_other_sound_datasets_have_no_deep_findings(
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

    assert_one(verify(made.store, dataset, None), "00001", f"{file.as_uri()} has SHA-256 .*… was recorded")


def test_a_truncated_file_is_found(made: Ingested, dataset: Dataset) -> None:
    file = made.file(made.plan.chunks[2])
    file.write_bytes(file.read_bytes()[:1_000])

    assert_one(verify(made.store, dataset, None), "00002", f"{file.as_uri()} has 1,000 bytes, .* were recorded")


def test_a_missing_file_is_found(made: Ingested, dataset: Dataset) -> None:
    made.file(made.plan.chunks[0]).unlink()

    assert_one(
        verify(made.store, dataset, None), "00000", f"missing: {made.file(made.plan.chunks[0]).as_uri()} is not there"
    )


def test_every_problem_is_told_in_plan_order(made: Ingested, dataset: Dataset) -> None:
    for number in (2, 0):
        made.file(made.plan.chunks[number]).unlink()

    assert [finding.where for finding in verify(made.store, dataset, None)] == ["00000", "00002"]


def test_a_chunk_that_the_manifest_leaves_out_is_found(made: Ingested, dataset: Dataset) -> None:
    manifest = pd.read_parquet(io.BytesIO(made.store.get(dataset.manifest_path)))
    sink = io.BytesIO()
    manifest.drop(index=1).to_parquet(sink)
    made.store.put(dataset.manifest_path, sink.getvalue())

    assert_one(verify(made.store, dataset, None), "00001", "not in the manifest")


def change_manifest(made: Ingested, dataset: Dataset, column: str, value: object) -> None:
    """Writes a value into the first row."""
    manifest = pd.read_parquet(io.BytesIO(made.store.get(dataset.manifest_path)))
    manifest.loc[0, column] = value
    sink = io.BytesIO()
    manifest.to_parquet(sink)
    made.store.put(dataset.manifest_path, sink.getvalue())


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("nnz", 5, "has nnz .*, dataset.json says"),
        ("n_obs", 99, "has chunk 00000 with fingerprint .* and 99 cells, the plan .* and 100"),
        ("fingerprint", "0" * 64, "has chunk 00000 with fingerprint 00000000 and 100 cells, the plan"),
        ("chunk", "00001", "lists chunk 00001 2 times"),
        ("chunk", "00009", "lists chunk 00009, which is not in the plan"),
    ],
)
def test_a_manifest_that_does_not_belong_to_the_dataset_is_found(
    made: Ingested, dataset: Dataset, column: str, value: object, what: str
) -> None:
    change_manifest(made, dataset, column, value)

    findings = [finding for finding in verify(made.store, dataset, None) if finding.to_do is Repair.PUBLISH]

    assert_one(findings, "", f"the manifest {made.store.uri(dataset.manifest_path)} {what}")


@pytest.mark.parametrize("column", ["n_chunks", "n_obs", "n_vars", "nnz", "n_bytes"])
def test_a_pointer_that_does_not_belong_to_the_manifest_is_found(made: Ingested, dataset: Dataset, column: str) -> None:
    header, of_subset = dataset.header, column in ("n_obs", "n_vars")
    changed = {"header": replace(header, subset=replace(header.subset, **{column: 7}))} if of_subset else {column: 7}
    wrong = replace(dataset, **changed)

    findings = verify(made.store, wrong, None)

    assert_one(findings, "", f"has {column} {dataset.sums[column]:,}, dataset.json says 7")
    assert findings[0].to_do is Repair.PUBLISH


@pytest.mark.parametrize("damage", ["gone", "cut", "empty", "text"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_damaged_manifest_is_one_problem_and_chunks_are_still_looked_at(
    made: Ingested, dataset: Dataset, damage: str, deep: bool
) -> None:
    break_object(made, dataset.manifest_path, damage)
    lost = made.file(made.plan.chunks[1])
    lost.unlink()

    whole, chunk = verify(made.store, dataset, made.census if deep else None)

    assert whole.to_do is Repair.PUBLISH
    assert made.store.uri(dataset.manifest_path) in whole.what
    assert (chunk.where, chunk.to_do) == ("00001", Repair.REMAKE)


@pytest.mark.parametrize("damage", ["gone", "cut", "empty", "text"])
def test_a_damaged_plan_is_one_problem_that_says_what_to_do(made: Ingested, dataset: Dataset, damage: str) -> None:
    path = plan_path("blood_normal", dataset.header.plan_id)
    break_object(made, path, damage)

    findings = verify(made.store, dataset, made.census)

    assert_one(findings, "", f"the plan {made.store.uri(path)} .*; cxg-assets ingest blood_normal makes it again")
    assert findings[0].to_do is Repair.INGEST


@pytest.mark.parametrize("path", [subset_obs_path, subset_var_path, subset_json_path])
@pytest.mark.parametrize("deep", [False, True])
def test_a_missing_file_of_the_subset_is_found(
    made: Ingested, dataset: Dataset, path: Callable[[str, str], str], deep: bool
) -> None:
    name = path("blood_normal", made.subset.fingerprint)
    made.store.delete(name)

    findings = verify(made.store, dataset, made.census if deep else None)

    assert_one(findings, "", f"{made.store.uri(name)} is not there; cxg-assets ingest blood_normal makes it again")
    assert findings[0].to_do is Repair.INGEST


@pytest.mark.parametrize("path", [subset_obs_path, subset_var_path])
@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_a_damaged_file_of_the_subset_is_found_deeply(
    made: Ingested, dataset: Dataset, path: Callable[[str, str], str], damage: str
) -> None:
    break_object(made, path("blood_normal", made.subset.fingerprint), damage)

    findings = verify(made.store, dataset, made.census)

    assert_one(findings, "", "cells or genes of the subset cannot be read: ")
    assert findings[0].to_do is Repair.INGEST


@pytest.mark.parametrize("path", [card_path, citations_path, measured_path])
def test_a_missing_card_or_citations_are_found(
    made: Ingested, dataset: Dataset, path: Callable[[str, str], str]
) -> None:
    name = path("blood_normal", dataset.header.plan_id)
    made.store.delete(name)

    findings = verify(made.store, dataset, None)

    assert_one(findings, "", f"{made.store.uri(name)} is not there")
    assert findings[0].to_do is Repair.PUBLISH


@pytest.mark.parametrize(
    "name", ["notes.txt", "00000-0123456789abcdef.h5ad", "00003-0123456789abcdef.h5ad", "deeper/00000.h5ad"]
)
def test_an_unreferenced_object_is_found(made: Ingested, dataset: Dataset, name: str) -> None:
    path = f"blood_normal/{dataset.header.plan_id}/{name}"
    made.store.put(path, b"1")

    findings = verify(made.store, dataset, None)

    assert_one(findings, "", f"{made.store.uri(path)} is unreferenced")
    assert findings[0].to_do is Repair.PRUNE


def test_an_unreferenced_and_a_damaged_object_in_s3_are_found(ingest: Ingest, spec: MakeSpec, s3: Bucket) -> None:
    in_s3 = ingest(spec(max_obs=60, chunk_size=20), s3.locator())
    dataset = publish(in_s3.store, in_s3.plan, in_s3.reports, in_s3.census)
    path = in_s3.plan.path(in_s3.plan.chunks[1])
    data = bytearray(in_s3.store.get(path))
    data[-1] ^= 1
    in_s3.store.put(path, bytes(data))
    in_s3.store.put(f"blood_normal/{dataset.header.plan_id}/more", b"1")

    findings = verify(in_s3.store, dataset, None)

    assert [(finding.to_do, finding.where) for finding in findings] == [(Repair.REMAKE, "00001"), (Repair.PRUNE, "")]


def test_chunks_larger_than_what_may_be_under_way_are_checked_one_after_the_other(
    made: Ingested, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxg_assets.ingest.verify.dataset.DOWNLOAD_BYTES", 1)
    made.file(made.plan.chunks[2]).unlink()

    assert [finding.where for finding in verify(made.store, dataset, None)] == ["00002"]


def test_only_damaged_chunks_have_to_be_made_again(made: Ingested, dataset: Dataset) -> None:
    made.file(made.plan.chunks[2]).unlink()
    made.file(made.plan.chunks[0]).write_bytes(b"1")
    made.store.put(f"blood_normal/{dataset.header.plan_id}/more", b"1")
    made.store.delete(card_path("blood_normal", dataset.header.plan_id))

    assert damaged_chunks(verify(made.store, dataset, None)) == ["00000", "00002"]


def test_a_file_that_is_no_h5ad_with_a_matching_checksum_is_found_deeply(made: Ingested, dataset: Dataset) -> None:
    made.file(made.plan.chunks[1]).write_bytes(b"no h5ad")
    dataset = accept(made, dataset, 1)

    findings = verify(made.store, dataset, made.census)

    assert_one(findings, "00001", "it cannot be read by anndata: ")


def break_object(made: Ingested, path: str, damage: str) -> None:
    """Removes an object, or puts something else in its place."""
    if damage == "gone":
        made.store.delete(path)
        return
    whole = made.store.get(path)
    made.store.put(path, {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"something else"}[damage])


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
    dataset = accept(made, dataset, 1)

    assert verify(made.store, dataset, None) == []
    assert_one(verify(made.store, dataset, made.census), "00001", what)


def test_other_names_of_the_cells_are_found_deeply(made: Ingested, dataset: Dataset) -> None:
    with h5py.File(made.file(made.plan.chunks[1]), "r+") as file:
        names = file["obs/_index"]
        assert isinstance(names, h5py.Dataset)
        names[7] = "another"
    dataset = accept(made, dataset, 1)

    assert_one(verify(made.store, dataset, made.census), "00001", "obs_names are not the soma_joinids of the cells")


def test_cells_of_another_chunk_are_found_deeply(made: Ingested, dataset: Dataset) -> None:
    """They agree with the Census, but they are not the cells that the plan means."""
    first, second, _ = made.plan.chunks
    made.file(first).write_bytes(made.file(second).read_bytes())
    dataset = accept(made, dataset, 0)

    findings = verify(made.store, dataset, made.census)

    assert {finding.where for finding in findings} == {"00000"}
    assert any("obs differs from the Census" in finding.what for finding in findings)
