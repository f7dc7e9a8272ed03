"""A chunk is created once, replaced only on demand, and never in part, in a folder and in S3."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cxg_assets.ingest.errors import StoreError
from cxg_assets.ingest.storage.local import staged_files
from cxg_assets.ingest.storage.store import Store, Stored, StoreLocator

PATH = "plan/00000.h5ad"

_PUT = """
import resource, signal, sys
from cxg_assets.ingest.storage.store import StoreLocator
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
store = StoreLocator(url=sys.argv[1]).open()
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
store.put_chunk("plan/00000.h5ad", bytes(3_000_000), "f")
"""
"""Puts a chunk; the kernel kills the process in the middle of it."""


@pytest.fixture(params=["folder", "folder without O_TMPFILE", "s3"])
def store(request: pytest.FixtureRequest, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store of each kind."""
    if request.param == "s3":
        return request.getfixturevalue("s3").locator("some/prefix").open()
    if request.param == "folder without O_TMPFILE":
        monkeypatch.delattr(os, "O_TMPFILE")
    return StoreLocator(url=store_url).open()


def files(url: str) -> list[str]:
    """All files of a folder destination, whatever their names."""
    return [file.name for file in Path(url.removeprefix("file://")).rglob("*") if file.is_file()]


@contextmanager
def file_size_limit(n_bytes: int) -> Iterator[None]:
    """A disk on which no file can be larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_chunk_that_is_there_stays_as_it_is(store: Store) -> None:
    assert store.put_chunk(PATH, b"first", "f") == Stored(created=True, retries=0)
    assert store.put_chunk(PATH, b"second", "f") == Stored(created=False, retries=0)
    assert store.get(PATH) == b"first"
    assert store.sizes("") == {PATH: 5}


def test_a_chunk_that_is_there_is_replaced_on_demand(store: Store) -> None:
    store.put_chunk(PATH, b"damaged", "f")

    assert store.put_chunk(PATH, b"right", "f", replace=True) == Stored(created=True, retries=0)
    assert store.get(PATH) == b"right"
    assert store.sizes("") == {PATH: 5}


def test_a_chunk_that_is_not_there_is_made_by_a_replacement_too(store: Store) -> None:
    assert store.put_chunk(PATH, b"right", "f", replace=True).created
    assert store.get(PATH) == b"right"


def test_a_path_of_a_chunk_cannot_leave_the_store(store: Store) -> None:
    with pytest.raises(ValueError, match=r"\.\."):
        store.put_chunk("../outside", b"1", "f")


def test_a_folder_in_the_way_of_a_chunk_is_told(store_url: str) -> None:
    store = StoreLocator(url=store_url).open()
    store.put(f"{PATH}/below", b"1")

    with pytest.raises(StoreError, match=f"cannot write {store_url}/{PATH}: Is a directory"):
        store.put_chunk(PATH, b"1", "f")


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="only Linux has files without names")
def test_a_writer_that_is_killed_leaves_nothing(store_url: str) -> None:
    StoreLocator(url=store_url).open().put("plan/plan.parquet", b"1")

    ended = subprocess.run([sys.executable, "-c", _PUT, store_url], check=False)

    assert ended.returncode == -signal.SIGXFSZ
    assert files(store_url) == ["plan.parquet"]


@pytest.mark.parametrize("replace", [False, True])
def test_a_disk_that_is_full_is_one_clear_error_and_leaves_nothing(store_url: str, replace: bool) -> None:
    store = StoreLocator(url=store_url).open()

    with file_size_limit(1_000_000), pytest.raises(StoreError, match=f"cannot write {store_url}/{PATH}: .*too large"):
        store.put_chunk(PATH, bytes(3_000_000), "f", replace=replace)

    assert files(store_url) == []


def test_what_obstore_put_aside_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a/plan").mkdir(parents=True)
    for name in ("chunk.h5ad", "chunk.h5ad#1", "chunk.h5ad#23", "chunk#h5ad", "chunk#1.h5ad"):
        (tmp_path / "a/plan" / name).write_bytes(b"12")

    found = staged_files(tmp_path, "a")

    assert {path: listed.n_bytes for path, listed in found.items()} == {
        "a/plan/chunk.h5ad#1": 2,
        "a/plan/chunk.h5ad#23": 2,
    }


def test_a_folder_that_is_empty_is_removed_with_its_last_object(store_url: str) -> None:
    store = StoreLocator(url=store_url).open()
    store.put("a/b/c", b"1")
    store.put("a/d", b"1")

    store.delete("a/b/c")

    assert sorted(path.name for path in Path(store_url.removeprefix("file://")).rglob("*")) == ["a", "d"]
