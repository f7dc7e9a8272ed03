"""What is wrong is named before anything is read, and a file that is damaged in mid-epoch is named when it is met."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.training import batches
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingested import Ingested
from cxg_assets_tests.training.conftest import joinids


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"split": "valid"}, "split: 'valid' is no part of blood_normal; it has train, test"),
        ({"labels": ["tissue"]}, "labels: 'tissue' is no column of obs of .*; there is cell_type, dataset_id"),
        ({"labels": ["is_primary_data"]}, "labels: 'is_primary_data' is no column of labels of .*; there is cell_type"),
        ({"genes": ["ENSG1", "ENSG2"]}, "genes: ENSG1, ENSG2 not among the 61,517 genes of .*; give feature_ids"),
        ({"genes": []}, "genes: no gene is named"),
        ({"batch_size": 0}, "batch_size: 0 is not a whole number from 1 on"),
        ({"batch_size": 2.5}, "batch_size: 2.5 is not a whole number"),
        ({"seed": -1}, "seed: -1 is not a whole number from 0 on"),
        ({"buffer_size": 0}, "buffer_size: 0 is not"),
        ({"run_size": 0}, "run_size: 0 is not"),
        ({"epochs": 0}, "epochs: 0 is not"),
        ({"n_threads": 0}, "n_threads: 0 is not"),
        ({"normalize": 0}, "normalize: 0 is no sum above 0"),
        ({"rank": 2, "world_size": 2}, "rank: 2 is none of 2"),
        ({"world_size": 0}, "world_size: 0 is not"),
        ({"world_size": 1_000}, "900 cells are too few for 1000 readers"),
        ({"batch_size": 512, "world_size": 2, "drop_last": True}, "too few for 2 readers .* with a full batch each"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_what_cannot_be_is_refused(url: str, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        batches(url, **asked)


def test_a_gene_that_is_asked_for_twice_is_refused(url: str) -> None:
    gene = batches(url).genes[7]
    with pytest.raises(BadInput, match=f"genes: '{gene}' is there twice"):
        batches(url, genes=[gene, gene])


def test_what_is_not_published_is_said(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nothing_here is not published at .*cxg-assets ingest nothing_here"):
        batches(f"{url.removesuffix('/blood_normal')}/nothing_here")
    with pytest.raises(BadInput, match="not published"):
        batches(StoreLocator(url=(tmp_path / "empty").as_uri()), "blood_normal")


@pytest.mark.parametrize("place", ["s3://", "s3://bucket"])
def test_an_address_that_is_no_folder_of_a_subset_is_refused(place: str) -> None:
    with pytest.raises(BadInput, match=r"url: .* is not the folder of a subset"):
        batches(place)


@pytest.fixture
def damaged(in_folder: Ingested, tmp_path: Path) -> tuple[str, Path]:
    """A copy to be damaged, and its third chunk."""
    shutil.copytree(Path(in_folder.store.url.removeprefix("file://")), tmp_path / "copy")
    return f"{tmp_path}/copy/blood_normal", tmp_path / "copy" / in_folder.plan.path(in_folder.plan.chunks[2])


def test_a_block_that_is_damaged_is_named_when_it_is_met(damaged: tuple[str, Path]) -> None:
    import h5py

    url, file = damaged
    with h5py.File(file) as opened:
        data: Any = opened["X/data"]
        place = data.id.get_chunk_info(1).byte_offset
    octets = bytearray(file.read_bytes())
    octets[place + 500 : place + 600] = bytes(100)
    file.write_bytes(octets)
    with pytest.raises(
        CxgError, match=r"chunk 00002: .*00002-.*\.h5ad is damaged \(block 1 of X/data is damaged: .*"
        r"cxg-assets verify blood_normal --repair makes it again"
    ):  # fmt: skip
        joinids(batches(url))


def test_columns_that_are_not_there_are_found_without_a_checksum(
    ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path: Path
) -> None:
    import h5py

    made = ingest(spec(max_obs=60, compression="none"), tmp_path.as_uri())
    publish(made.store, made.plan, made.reports, made.census)
    with h5py.File(made.file(made.plan.chunks[0]), "r+") as opened:
        indices: Any = opened["X/indices"]
        indices[1_000] = 2_000_000_000
    with pytest.raises(
        CxgError, match=r"chunk 00000: .* \(X/indices has columns that are not there\); cxg-assets verify"
    ):
        joinids(batches(tmp_path / "blood_normal", genes=None))


@pytest.mark.parametrize("n_bytes", [0, 40, 100_000])
def test_a_file_that_ends_too_early_is_named(damaged: tuple[str, Path], n_bytes: int) -> None:
    url, file = damaged
    with file.open("r+b") as opened:
        opened.truncate(n_bytes)
    with pytest.raises(CxgError, match=r"chunk 00002: .* is damaged .*cxg-assets verify blood_normal --repair"):
        joinids(batches(url))


def test_a_file_that_is_gone_is_named(damaged: tuple[str, Path]) -> None:
    url, file = damaged
    file.unlink()
    with pytest.raises(
        CxgError, match=r"chunk 00002 is missing: .*cxg-assets ingest blood_normal writes what is missing"
    ):
        joinids(batches(url))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "state: seed was 0 and is 1 now"),
        ({"batch_size": 100}, "state: batch_size was 64 and is 100 now"),
        ({"split": "train"}, "state: split was None and is 'train' now"),
        ({"shuffle": False}, "state: shuffle was True and is False now"),
        ({"world_size": 2}, "state: world_size was 1 and is 2 now"),
        ({"weights": {"cell_type": "balanced"}}, "state: weights was ''"),
    ],
)
def test_a_state_of_other_settings_is_refused(url: str, change: dict[str, Any], message: str) -> None:
    state = batches(url, batch_size=64, buffer_size=640).state_dict()
    other = batches(url, **{"batch_size": 64, "buffer_size": 640, **change})
    with pytest.raises(BadInput, match=message):
        other.load_state_dict(state)


def test_a_state_of_something_else_is_refused(url: str) -> None:
    loader = batches(url)
    state = loader.state_dict()
    for wrong, message in (
        (
            {**state, "dataset": "blood_normal/0123"},
            "state: it is of 'blood_normal/0123', this dataset is blood_normal/",
        ),
        ({**state, "batch": -1}, "state: batch: -1 is not a whole number"),
        ({**state, "version": 9}, "state: it is none of this version"),
        ({"model": 1}, "state: it is none of this version"),
    ):
        with pytest.raises(BadInput, match=message):
            loader.load_state_dict(wrong)
