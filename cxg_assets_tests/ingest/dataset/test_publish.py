"""A dataset is published when it is whole; its card, its citations and its pointer tell the truth."""

import io
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cellxgene_census
import pandas as pd
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.chunks.stored_chunk import read_report
from cxg_assets.ingest.dataset.manifest import IncompleteDataset
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import CxgError, StoreError
from cxg_assets.ingest.layout import card_path, citations_path, dataset_path, manifest_path, measured_path
from cxg_assets.ingest.plan.published import Dataset, read_dataset
from cxg_assets.ingest.quantities import size
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets_tests.categories import used
from cxg_assets_tests.conftest import BLOOD_NORMAL, Bucket, Ingest
from cxg_assets_tests.ingested import Ingested

get_obs: Any = cellxgene_census.get_obs
MakeSpec = Callable[..., SubsetSpec]


def publish_all(made: Ingested) -> Dataset:
    return publish(made.store, made.plan, made.reports, made.census)


@pytest.fixture
def made(ingest: Ingest, spec: MakeSpec, store_url: str) -> Ingested:
    return ingest(spec(value_filter=BLOOD_NORMAL, max_obs=300, chunk_size=100), store_url)


def test_the_pointer_tells_what_is_published(made: Ingested) -> None:
    dataset = publish_all(made)

    assert read_dataset(made.store, "blood_normal") == dataset
    assert dataset.header.plan_id == made.plan.header.plan_id
    assert (dataset.header.subset.n_obs, dataset.header.subset.n_vars, dataset.n_chunks) == (
        300,
        made.plan.header.subset.n_vars,
        3,
    )
    assert dataset.nnz == sum(report.nnz for report in made.reports)
    assert dataset.n_bytes == sum(made.file(chunk).stat().st_size for chunk in made.plan.chunks)
    assert (dataset.header.subset.selection, dataset.header.layer, dataset.header.subset.release) == (
        made.subset.selection,
        "raw",
        made.release,
    )
    assert dataset.header.subset.selection.value_filter == BLOOD_NORMAL
    whole = pd.concat([made.read(chunk).obs.astype(str) for chunk in made.plan.chunks])
    assert {name: list(values) for name, values in dataset.labels.items()} == {
        name: used(whole[name]) for name in made.spec.obs_columns if name != "is_primary_data"
    }
    assert dataset.n_labels_left_out == {}


def test_a_column_with_too_many_labels_is_counted_instead(made: Ingested, monkeypatch: pytest.MonkeyPatch) -> None:
    every = publish_all(made).labels
    limit = max(len(values) for values in every.values()) - 1
    monkeypatch.setattr("cxg_assets.ingest.dataset.publish.MAX_LABELS", limit)

    dataset = publish_all(made)

    assert read_dataset(made.store, "blood_normal") == dataset
    assert dataset.labels == {name: values for name, values in every.items() if len(values) <= limit}
    assert dataset.n_labels_left_out == {name: len(values) for name, values in every.items() if len(values) > limit}
    card = made.store.get(card_path("blood_normal", made.plan.header.plan_id)).decode()
    assert f"not listed, as they are too many: {next(iter(dataset.n_labels_left_out))} {limit + 1}" in card


def test_an_incomplete_dataset_writes_nothing(made: Ingested) -> None:
    made.file(made.plan.chunks[1]).unlink()
    before = made.store.sizes("")

    with pytest.raises(IncompleteDataset, match=r"chunk 00001: missing: .* is not there"):
        publish_all(made)

    assert made.store.sizes("") == before


def read_back(made: Ingested) -> list[ChunkReport]:
    """What a machine without record of the chunks knows of them."""
    return [read_report(made.store, made.plan.header, chunk) for chunk in made.plan.chunks]


def flip_a_bit(made: Ingested, number: int) -> str:
    """Damages a chunk so that its size stays. Returns its URI."""
    file = made.file(made.plan.chunks[number])
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    return file.as_uri()


def test_a_machine_without_record_publishes_the_same_manifest(made: Ingested) -> None:
    first = publish_all(made)
    manifest = made.store.get(first.manifest_path)

    again = publish(made.store, made.plan, read_back(made), made.census)

    assert replace(again, published_at="") == replace(first, published_at="")
    assert made.store.get(first.manifest_path) == manifest


def test_a_damaged_chunk_that_is_read_back_is_not_published_as_right(made: Ingested) -> None:
    dataset = publish_all(made)
    uri = flip_a_bit(made, 1)
    before = made.store.get(dataset.manifest_path)

    message = f"chunk 00001: {uri} has SHA-256 .* was recorded; cxg-assets verify blood_normal --repair makes it again"
    with pytest.raises(IncompleteDataset, match=message):
        publish(made.store, made.plan, read_back(made), made.census)

    assert made.store.get(dataset.manifest_path) == before
    assert read_dataset(made.store, "blood_normal") == dataset


def test_of_a_manifest_that_nothing_points_to_yet_a_damaged_chunk_is_to_be_deleted(made: Ingested) -> None:
    publish_all(made)
    made.store.delete(dataset_path("blood_normal"))
    flip_a_bit(made, 2)

    with pytest.raises(IncompleteDataset, match=r"chunk 00002: .* was recorded; delete it and run again"):
        publish(made.store, made.plan, read_back(made), made.census)


def test_a_chunk_that_was_made_again_is_published_whatever_its_bytes(made: Ingested) -> None:
    publish_all(made)
    flip_a_bit(made, 0)
    first, *others = read_back(made)

    dataset = publish(made.store, made.plan, [replace(first, attempt=1), *others], made.census)

    manifest = pd.read_parquet(io.BytesIO(made.store.get(dataset.manifest_path)))
    assert manifest.sha256[0] == first.sha256 != made.reports[0].sha256


def test_a_damaged_manifest_is_made_again_where_the_chunks_are_on_record_only(made: Ingested) -> None:
    dataset = publish_all(made)
    whole = made.store.get(dataset.manifest_path)
    made.store.put(dataset.manifest_path, whole[:100])

    with pytest.raises(IncompleteDataset, match=r"manifest\.parquet is damaged, and this machine has no other record"):
        publish(made.store, made.plan, read_back(made), made.census)
    publish_all(made)

    assert made.store.get(dataset.manifest_path) == whole


@pytest.mark.parametrize("path", [manifest_path, citations_path, measured_path, card_path])
def test_the_pointer_is_written_last(made: Ingested, path: Callable[[str, str], str]) -> None:
    in_the_way = made.file(made.plan.chunks[0]).parent / Path(path("blood_normal", "x")).name
    in_the_way.mkdir()

    with pytest.raises(StoreError, match=f"cannot write {in_the_way.as_uri()}: "):
        publish_all(made)

    assert not made.store.exists(dataset_path("blood_normal"))


def test_a_new_plan_takes_over_the_pointer_and_leaves_the_old_files(
    made: Ingested, ingest: Ingest, store_url: str
) -> None:
    old = publish_all(made)
    before = made.store.sizes(f"blood_normal/{old.header.plan_id}")

    new = publish_all(ingest(replace(made.spec, chunk_size=150), store_url))

    assert read_dataset(made.store, "blood_normal") == new
    assert new.header.plan_id != old.header.plan_id
    assert made.store.sizes(f"blood_normal/{old.header.plan_id}") == before


def test_citations_count_the_cells_of_each_dataset(made: Ingested, census: soma.Collection) -> None:
    dataset = publish_all(made)

    citations = pd.read_csv(io.BytesIO(made.store.get(citations_path("blood_normal", dataset.header.plan_id))))
    cells = get_obs(census, "homo_sapiens", value_filter=BLOOD_NORMAL, column_names=["dataset_id"])[:300]
    counts = cells.dataset_id.astype(str).value_counts()
    assert dict(zip(citations.dataset_id, citations.n_obs, strict=True)) == counts.to_dict()
    assert citations.n_obs.is_monotonic_decreasing
    info: Any = census["census_info"]["datasets"]
    known = info.read().concat().to_pandas().set_index("dataset_id").loc[citations.dataset_id]
    for column in ("dataset_title", "collection_name", "collection_doi", "citation"):
        assert citations[column].fillna("").tolist() == known[column].tolist()


def test_citations_count_every_cell_also_without_dataset_id_in_the_chunks(
    ingest: Ingest, spec: MakeSpec, old_census_uri: str, store_url: str
) -> None:
    old = ingest(spec(obs_columns=("tissue",), chunk_size=1_000), store_url, uri=old_census_uri)

    dataset = publish_all(old)

    citations = pd.read_csv(io.BytesIO(old.store.get(citations_path("blood_normal", dataset.header.plan_id))))
    assert citations.n_obs.sum() == old.plan.header.subset.n_obs
    assert citations.citation.notna().all()
    assert "dataset_id" not in old.read(old.plan.chunks[0]).obs


def test_the_example_of_the_card_runs_in_the_folder_of_the_card(made: Ingested) -> None:
    dataset = publish_all(made)
    folder = made.file(made.plan.chunks[0]).parent
    card = (folder / "README.md").read_text()
    _, example = card.split("```python\n")
    example = example.split("```")[0]

    run = subprocess.run([sys.executable, "-c", example], cwd=folder, capture_output=True, text=True, check=True)

    assert re.search(rf"n_obs . n_vars = 100 . {dataset.header.subset.n_vars}\b", run.stdout)
    assert made.plan.chunks[0].fingerprint in run.stdout


def test_the_card_tells_the_numbers_of_the_dataset(made: Ingested) -> None:
    dataset = publish_all(made)

    card = made.store.get(card_path("blood_normal", dataset.header.plan_id)).decode()

    assert "300 cells of homo_sapiens in 3 h5ad files" in card
    assert f"filter `{BLOOD_NORMAL}`" in card
    assert f"{dataset.nnz:,} non-zeros" in card
    assert f", {size(dataset.n_bytes)}, arrays" in card
    assert made.release.build in card


def test_it_publishes_to_s3(ingest: Ingest, spec: MakeSpec, s3: Bucket) -> None:
    in_s3 = ingest(spec(max_obs=60), s3.locator())

    dataset = publish_all(in_s3)

    assert read_dataset(in_s3.store, "blood_normal") == dataset
    body = s3.client.get_object(Bucket=s3.name, Key=f"store/{dataset.manifest_path}")["Body"].read()
    assert pd.read_parquet(io.BytesIO(body)).uri.tolist() == [report.uri for report in in_s3.reports]


def test_nothing_published_is_not_found(store_url: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"blood_normal/dataset\.json is not there"):
        read_dataset(StoreLocator(url=store_url).open(), "blood_normal")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"subset": "a"}', "not json"])
def test_a_pointer_that_cannot_be_read_is_named(store_url: str, text: str) -> None:
    store = StoreLocator(url=store_url).open()
    store.put(dataset_path("blood_normal"), text.encode())

    with pytest.raises(CxgError, match=r"blood_normal/dataset\.json is not of this version"):
        read_dataset(store, "blood_normal")


def test_no_published_file_holds_a_secret(ingest: Ingest, spec: MakeSpec, s3: Bucket) -> None:
    in_s3 = ingest(spec(max_obs=60, compression="none"), s3.locator())
    publish_all(in_s3)

    for item in s3.client.list_objects_v2(Bucket=s3.name)["Contents"]:
        body = s3.client.get_object(Bucket=s3.name, Key=item["Key"])["Body"].read()
        assert b"test-secret" not in body
        assert (s3.settings.endpoint_url or "").encode() not in body
    assert read_dataset(in_s3.store, "blood_normal").header.subset.n_obs == 60
