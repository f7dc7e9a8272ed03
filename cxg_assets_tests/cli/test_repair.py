"""`cxg-assets verify --repair` makes exactly the damaged chunks again, through the jobs and the record of the UI."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cxg_assets.cli.project import dagster_instance, default_store
from cxg_assets.names import h5ad_chunks_key
from cxg_assets.ui.metadata import report_from
from cxg_assets_tests.cli.command import cxg_assets, files_below
from cxg_assets_tests.cli.conftest import CHUNK_SIZE, SUBSET, Finished
from cxg_assets_tests.servers.strict_s3 import BUCKET, Rules, StrictS3, forget_aws, serve_strict_s3

pytestmark = pytest.mark.stack

REPAIR = ("verify", SUBSET, "--repair")
INGEST = ("ingest", SUBSET, "--chunk-size", str(CHUNK_SIZE))


@pytest.fixture(autouse=True)
def _workers(workers: None) -> None:
    """The session's Ray."""


@pytest.fixture
def in_s3(finished_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictS3]:
    """The finished subset in a bucket; its index stays where it was made."""
    (tmp_path / "s3").mkdir()
    with serve_strict_s3(tmp_path / "s3") as server:
        forget_aws(monkeypatch, tmp_path)
        server.use(monkeypatch, "cells")
        store = default_store().locator().open()
        for path in files_below(finished_home / "store"):
            store.put(path, finished_home / "store" / path)
        yield server


def chunk_files(home: Path) -> list[Path]:
    return sorted((home / "store").rglob("*.h5ad"))


def flipped(data: bytes) -> bytes:
    """The same with one bit changed."""
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


def made_chunks() -> list[str]:
    """Chunks that are on record as made, newest first, as often as they were made."""
    with dagster_instance() as instance:
        records = instance.fetch_materializations(h5ad_chunks_key(SUBSET), limit=1_000).records
    events = [record.asset_materialization for record in records if record.asset_materialization is not None]
    return [str(event.partition) for event in events if report_from(event.metadata).worker]


def checksums(manifest: Path) -> list[str]:
    return pq.read_table(manifest)["sha256"].to_pylist()


def test_exactly_the_damaged_chunks_are_made_again(finished_home: Path) -> None:
    flipped_file, short, lost, *others = chunk_files(finished_home)
    damaged = {file: file.read_bytes() for file in (flipped_file, short, lost)}
    before = {file: (file.stat().st_mtime_ns, file.stat().st_ino) for file in others}
    flipped_file.write_bytes(flipped(damaged[flipped_file]))
    short.write_bytes(damaged[short][:1_000])
    lost.unlink()
    n_made = len(made_chunks())

    outcome = cxg_assets(*REPAIR)

    assert outcome.exit_code == 0, outcome.stderr
    said = outcome.stdout.splitlines()
    assert said[0] == f"{SUBSET}: made again: 00000, 00001, 00002; published again"
    assert "are right (sizes and checksums)" in said[1]
    assert {file: file.read_bytes() for file in damaged} == damaged
    assert {file: (file.stat().st_mtime_ns, file.stat().st_ino) for file in others} == before
    assert sorted(made_chunks()[:-n_made]) == ["00000", "00001", "00002"]
    assert cxg_assets("verify", SUBSET, "--deep").exit_code == 0


def test_in_s3_each_damaged_chunk_is_one_put(in_s3: StrictS3, finished: Finished) -> None:
    store = default_store().locator().open()
    paths = sorted(path for path in store.sizes(SUBSET) if path.endswith(".h5ad"))
    whole = {path: store.get(path) for path in paths}
    store.put(paths[0], flipped(whole[paths[0]]))
    store.delete(paths[2])
    in_s3.obey(Rules())

    outcome = cxg_assets(*REPAIR)

    assert outcome.exit_code == 0, outcome.stderr
    puts = sorted(asked.path for asked in in_s3.requests("PUT") if asked.path.endswith(".h5ad"))
    assert puts == [f"/{BUCKET}/cells/{paths[number]}" for number in (0, 2)]
    assert {path: store.get(path) for path in paths} == whole


def test_a_sound_dataset_is_left_alone(finished_home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished_home / "store").rglob("*")}

    outcome = cxg_assets(*REPAIR)

    assert outcome.exit_code == 0
    assert "again" not in outcome.stdout
    assert {path: path.stat().st_mtime_ns for path in (finished_home / "store").rglob("*")} == before


@pytest.mark.parametrize("lost", ["README.md", "citations.csv"])
def test_what_only_tells_of_the_chunks_is_published_again_and_no_chunk_is_made(finished_home: Path, lost: str) -> None:
    file = chunk_files(finished_home)[0].parent / lost
    whole = file.read_bytes()
    file.unlink()
    before = {file: file.stat().st_mtime_ns for file in chunk_files(finished_home)}

    outcome = cxg_assets(*REPAIR)

    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.startswith(f"{SUBSET}: published again\n")
    assert file.read_bytes() == whole
    assert {file: file.stat().st_mtime_ns for file in chunk_files(finished_home)} == before


def test_a_damaged_manifest_is_not_made_of_chunks_that_are_known_from_their_files_only(finished_home: Path) -> None:
    with dagster_instance() as instance:
        instance.wipe_assets([h5ad_chunks_key(SUBSET)])
    [manifest] = (finished_home / "store").rglob("manifest.parquet")
    whole = checksums(manifest)
    manifest.write_bytes(manifest.read_bytes()[:100])

    refused = cxg_assets(*REPAIR)
    assert refused.exit_code == 1
    assert "or delete it, publish again, and run cxg-assets verify" in refused.stderr

    manifest.unlink()
    assert cxg_assets(*REPAIR, "--deep").exit_code == 0
    assert checksums(manifest) == whole


def test_an_unreferenced_object_is_named_and_left_to_prune(finished_home: Path) -> None:
    file = chunk_files(finished_home)[0].parent / "notes.txt"
    file.write_text("mine")

    outcome = cxg_assets(*REPAIR)

    assert outcome.exit_code == 1
    assert f"{file.as_uri()} is unreferenced\n" in outcome.stderr
    advised = f"cxg-assets prune {SUBSET} --unreferenced"
    assert outcome.stderr.endswith(f"; {advised} lists what is unreferenced, and removes it with --yes\n")
    assert file.exists()
    assert cxg_assets(*advised.split()[1:], "--yes").exit_code == 0
    assert not file.exists()
    assert cxg_assets("verify", SUBSET).exit_code == 0


@pytest.mark.parametrize("damage", ["a flipped bit", "cut off"])
def test_a_machine_without_record_does_not_publish_the_damage_and_repairs_it(finished_home: Path, damage: str) -> None:
    file = chunk_files(finished_home)[1]
    whole = file.read_bytes()
    file.write_bytes(flipped(whole) if damage == "a flipped bit" else whole[:1_000])
    shutil.rmtree(finished_home / "dagster")
    [manifest] = (finished_home / "store").rglob("manifest.parquet")
    published = checksums(manifest)

    refused = cxg_assets(*REPAIR)
    assert refused.exit_code == 2
    assert f"has no plan on record; cxg-assets ingest {SUBSET}, with the options that it was made" in refused.stderr
    assert not (finished_home / "dagster").exists()

    stopped = cxg_assets(*INGEST)
    assert stopped.exit_code == 1
    assert f"cxg-assets verify {SUBSET} --repair makes it again" in stopped.stderr
    assert checksums(manifest) == published

    repaired = cxg_assets(*REPAIR)
    assert repaired.exit_code == 0, repaired.stderr
    assert f"{SUBSET}: made again: 00001; published again" in repaired.stdout
    assert file.read_bytes() == whole
    assert checksums(manifest) == published


def test_what_is_not_on_record_is_not_repaired(finished_home: Path) -> None:
    pointer = finished_home / "store" / SUBSET / "dataset.json"
    earlier = pointer.read_bytes()
    chunk_files(finished_home)[0].unlink()
    assert cxg_assets("ingest", SUBSET, "--max-obs", "40", "--chunk-size", "20", "--workers", "1").exit_code == 0
    pointer.write_bytes(earlier)

    outcome = cxg_assets(*REPAIR)

    assert outcome.exit_code == 2
    assert "is on record in this Dagster instance; cxg-assets ingest blood_normal writes and" in outcome.stderr


def test_without_the_plan_nothing_is_repaired(finished_home: Path) -> None:
    [plan] = (finished_home / "store").rglob("plan.parquet")
    plan.unlink()

    outcome = cxg_assets(*REPAIR)

    assert outcome.exit_code == 1
    assert f"the plan {plan.as_uri()} is not there; cxg-assets ingest {SUBSET} makes it again\n" in outcome.stderr
    assert "Traceback" not in outcome.stderr
