"""A zarr chunk of many objects is stored whole or not at all: what is damaged, left over or in the way is found."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cxg_assets.ingest.chunks.stored_chunk import read_report
from cxg_assets.ingest.chunks.zarr.nodes import NODE
from cxg_assets.ingest.dataset.inventory import take_inventory
from cxg_assets.ingest.dataset.load import load_dataset
from cxg_assets.ingest.dataset.manifest import IncompleteDataset
from cxg_assets.ingest.dataset.prune import prune
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.formats import ZARR
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.ingest.plan.stored import stored_sizes
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.ingest.verify.dataset import Repair, damaged_chunks, verify
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingested import Ingested, run_spans

NAME = "blood_normal"
SHARD = "X/data/c/0"


@pytest.fixture(scope="module")
def sound(ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    made = ingest(spec(format=ZARR, max_obs=120, chunk_size=50), tmp_path_factory.mktemp("sound").as_uri())
    publish(made.store, made.plan, made.reports, made.census)
    return made


@pytest.fixture
def made(sound: Ingested, tmp_path: Path) -> Ingested:
    """A copy of what is published, to be damaged."""
    shutil.copytree(sound.locator.url.removeprefix("file://"), tmp_path / "store")
    locator = StoreLocator(url=(tmp_path / "store").as_uri())
    return replace(sound, locator=locator, store=locator.open())


def found(made: Ingested) -> list[tuple[str, str]]:
    """Chunk and what is wrong of each finding."""
    return [(finding.where, finding.what) for finding in verify(made.store, read_dataset(made.store, NAME), None)]


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def contents(made: Ingested) -> dict[str, bytes]:
    root = Path(made.store.url.removeprefix("file://"))
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def test_a_sound_dataset_has_no_findings_and_its_reports_are_read_from_the_markers(made: Ingested) -> None:
    assert found(made) == []
    for chunk, report in zip(made.plan.chunks, made.reports, strict=True):
        read = read_report(made.store, made.plan.header, chunk)
        assert (read.n_bytes, read.sha256, read.nnz) == (report.n_bytes, report.sha256, report.nnz)


@pytest.mark.parametrize("name", [SHARD, "obs/cell_type/codes/c/0", "var/zarr.json", NODE])
def test_a_damaged_object_is_named_and_its_chunk_is_made_again(made: Ingested, name: str) -> None:
    chunk, before = made.plan.chunks[1], contents(made)
    file = made.file(chunk) / name
    flip(file)

    [(key, what)] = found(made)

    assert key == chunk.key
    assert f"{made.store.url}/{made.plan.path(chunk)}/{name}" in what
    reports, failures = run_spans(replace(made.job, replace=True), [Span((chunk,))])
    assert failures == []
    assert reports[0].sha256 == made.reports[1].sha256
    assert contents(made) == before


def test_a_missing_object_is_named_by_who_verifies_loads_or_publishes(made: Ingested) -> None:
    chunk = made.plan.chunks[2]
    (made.file(chunk) / SHARD).unlink()
    uri = f"{made.store.url}/{made.plan.path(chunk)}/{SHARD}"

    assert found(made) == [(chunk.key, f"missing: {uri} is not there")]
    with pytest.raises(CxgError, match=f"chunk 00002: {uri} is not there; .*verify .*--repair"):
        load_dataset(made.store, NAME).chunk(chunk.key)
    with pytest.raises(IncompleteDataset, match=r"chunk 00002: .* bytes, .* were recorded"):
        publish(made.store, made.plan, made.reports, made.census)


def test_an_object_too_many_is_found_and_goes_when_the_chunk_is_made_again(made: Ingested) -> None:
    chunk, before = made.plan.chunks[0], contents(made)
    (made.file(chunk) / "X" / "data" / "c" / "7").write_bytes(b"of another version")

    [(key, what)] = found(made)

    assert key == chunk.key
    assert "X/data/c/7 is not of the chunk" in what
    run_spans(replace(made.job, replace=True), [Span((chunk,))])
    assert contents(made) == before


def test_what_a_killed_writer_left_is_no_chunk_and_the_next_run_writes_over_it(made: Ingested) -> None:
    chunk, before = made.plan.chunks[0], contents(made)
    (made.file(chunk) / NODE).unlink()
    (made.file(chunk) / SHARD).write_bytes(b"half of it, by another version")
    (made.file(chunk) / "X" / "data" / "c" / "7").write_bytes(b"too many")

    assert sorted(stored_sizes(made.store, made.plan)) == ["00001", "00002"]
    assert found(made) == [(chunk.key, f"missing: {made.store.url}/{made.plan.path(chunk)} is not there")]
    with pytest.raises(BadInput, match="chunk 00000 is not stored"):
        load_dataset(made.store, NAME).chunk(chunk.key)
    reports, failures = run_spans(made.job, [Span((chunk,))])

    assert failures == []
    assert (reports[0].n_bytes, reports[0].sha256) == (made.reports[0].n_bytes, made.reports[0].sha256)
    assert contents(made) == before


def test_a_chunk_that_another_run_has_stored_is_left_as_it_is(made: Ingested) -> None:
    before = {path: (made.store.folder or Path()) / path for path in made.store.sizes(NAME)}
    times = {path: file.stat().st_mtime_ns for path, file in before.items()}

    reports, failures = run_spans(made.job, [Span(made.plan.chunks)])

    assert failures == []
    assert [report.sha256 for report in reports] == [report.sha256 for report in made.reports]
    assert {path: file.stat().st_mtime_ns for path, file in before.items()} == times


def test_prune_takes_what_a_killed_writer_left_and_whole_plans(made: Ingested) -> None:
    chunk = made.plan.chunks[0]
    (made.file(chunk) / NODE).unlink()
    n_left = len(list(made.file(chunk).rglob("*.json")))

    inventory = take_inventory(made.store, NAME, 0, older_than=timedelta(), unreferenced=True)

    plan, *_ = [entry for entry in inventory.entries if entry.kind == "plan"]
    assert (plan.n_chunks, plan.why) == (2, "published")
    left = [entry.place for entry in inventory.going]
    assert n_left > 10
    assert len(left) > n_left
    assert {made.plan.header.chunk_format.place_of(path) for path in left} == {made.plan.path(chunk)}
    prune(made.store, inventory)
    assert not made.file(chunk).exists()
    made.store.delete(f"{NAME}/dataset.json")
    prune(made.store, take_inventory(made.store, NAME, 0, older_than=timedelta()))
    assert made.store.sizes(NAME) == {}


def test_what_makes_it_a_collection_is_verified_and_published_again(made: Ingested) -> None:
    [path] = read_dataset(made.store, NAME).collections
    before = made.store.get(path)
    made.store.put(path, b"{}")

    [finding] = verify(made.store, read_dataset(made.store, NAME), None)

    assert finding.to_do is Repair.PUBLISH
    assert f"{made.store.uri(path)} has SHA-256" in finding.what
    assert damaged_chunks([finding]) == []
    publish(made.store, made.plan, made.reports, made.census)
    assert made.store.get(path) == before
