"""A folder and an S3 bucket behave alike behind `Store`; every error names the object and the cause."""

import os
import pickle
import threading
from pathlib import Path

import pytest

from cxg_assets.ingest.errors import BadInput, StoreError
from cxg_assets.ingest.storage.store import FINGERPRINT_ATTRIBUTE, Store, StoreLocator
from cxg_assets_tests.conftest import Bucket


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, store_url: str) -> Store:
    """An empty store of either kind."""
    if request.param == "folder":
        return StoreLocator(url=store_url).open()
    return request.getfixturevalue("s3").locator("some/prefix").open()


def test_what_is_put_is_got_listed_and_deleted(store: Store) -> None:
    assert not store.exists("a/b.bin")
    assert store.sizes("a") == {}

    store.put("a/b.bin", b"one")
    store.put("a/c/d.bin", b"four")
    store.put("ab/e.bin", b"")

    assert store.get("a/b.bin") == b"one"
    assert store.exists("a/b.bin")
    assert store.sizes("a") == {"a/b.bin": 3, "a/c/d.bin": 4}
    assert store.sizes("") == {"a/b.bin": 3, "a/c/d.bin": 4, "ab/e.bin": 0}
    store.delete("a/b.bin")
    assert not store.exists("a/b.bin")
    assert store.sizes("a") == {"a/c/d.bin": 4}


def test_putting_again_replaces_the_whole_object(store: Store) -> None:
    store.put("a", b"a long text")
    store.put("a", b"short")

    assert store.get("a") == b"short"
    assert store.sizes("") == {"a": 5}


def test_parts_are_got_side_by_side(store: Store) -> None:
    content = os.urandom(3_000)
    store.put("a/b.bin", content)

    ranges = [(0, 10), (2_000, 2_500), (2_990, 3_000)]
    assert store.get_ranges("a/b.bin", ranges) == [content[start:stop] for start, stop in ranges]
    with pytest.raises(FileNotFoundError, match=r"a/c\.bin is not there"):
        store.get_ranges("a/c.bin", ranges)


def test_a_listing_has_every_object_however_many(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(2_500):
        (tmp_path / "many" / f"{number:05d}.h5ad").write_bytes(b"x" * (number % 7))

    sizes = StoreLocator(url=tmp_path.as_uri()).open().sizes("many")

    assert sizes == {f"many/{number:05d}.h5ad": number % 7 for number in range(2_500)}


def test_a_file_is_put_and_copied_back(store: Store, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(content)

    store.put("x/file.bin", tmp_path / "file")

    assert store.get("x/file.bin") == content
    with store.local_copy("x/file.bin") as copy:
        assert copy.read_bytes() == content
    assert store.exists("x/file.bin")


def test_a_local_copy_of_an_s3_object_is_removed_afterwards(s3: Bucket) -> None:
    store = s3.locator().open()
    store.put("a.bin", b"1")

    with store.local_copy("a.bin") as copy:
        assert copy.exists()

    assert not copy.exists()


def test_a_folder_lends_the_file_itself(store_url: str) -> None:
    store = StoreLocator(url=store_url).open()
    store.put("a.bin", b"1")

    with store.local_copy("a.bin") as copy:
        assert copy.as_uri() == store.uri("a.bin")


def test_an_absent_object_is_file_not_found_with_its_uri(store: Store) -> None:
    with pytest.raises(FileNotFoundError, match=f"{store.url}/no/such is not there"):
        store.get("no/such")
    with pytest.raises(FileNotFoundError, match=f"{store.url}/no/such is not there"), store.local_copy("no/such"):
        pass


def test_a_path_cannot_leave_the_store(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    store.put("inside", b"1")

    for path in ("../outside", "a/../../outside"):
        with pytest.raises(ValueError, match=r"\.\."):
            store.get(path)
        with pytest.raises(ValueError, match=r"\.\."):
            store.put(path, b"overwritten")
        with pytest.raises(ValueError, match=r"\.\."), store.local_copy(path):
            pass
    with pytest.raises(FileNotFoundError, match="is not there"), store.local_copy(str(outside)):
        pass
    assert outside.read_bytes() == b"secret"
    assert store.sizes("") == {"inside": 1}


def test_a_reader_never_sees_part_of_an_object(store_url: str) -> None:
    store = StoreLocator(url=store_url).open()
    versions = [bytes([letter]) * 2_000_000 for letter in b"ab"]
    store.put("chunk", versions[0])

    def write() -> None:
        for number in range(30):
            store.put("chunk", versions[number % 2])

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while writer.is_alive():
        seen.add(store.get("chunk"))
    writer.join()

    assert seen <= set(versions)
    assert store.sizes("") == {"chunk": 2_000_000}


def test_files_get_the_mode_that_the_umask_gives(store_url: str, tmp_path: Path) -> None:
    store = StoreLocator(url=store_url).open()
    plain = tmp_path / "plain"
    plain.touch()

    store.put_chunk("a/chunk", b"1", "f")

    with store.local_copy("a/chunk") as file:
        assert file.stat().st_mode == plain.stat().st_mode


def test_a_chunk_in_s3_carries_its_fingerprint(s3: Bucket) -> None:
    s3.locator().open().put_chunk("plan/00000.h5ad", b"data", "f1ab")

    found = s3.client.head_object(Bucket=s3.name, Key="store/plan/00000.h5ad")
    assert found["Metadata"] == {FINGERPRINT_ATTRIBUTE: "f1ab"}


def test_an_error_of_a_folder_names_the_object_and_the_cause(store_url: str) -> None:
    store = StoreLocator(url=store_url).open()
    store.put("a/file", b"1")

    with pytest.raises(StoreError, match=f"cannot write {store_url}/a/file/below: .*Not a directory"):
        store.put("a/file/below", b"1")


def test_an_error_of_s3_names_the_object_and_the_cause_in_one_line(s3: Bucket) -> None:
    store = StoreLocator(url="s3://no-such-bucket/prefix", s3=s3.settings).open()

    with pytest.raises(
        StoreError, match=r"cannot write s3://no-such-bucket/prefix/a: there is no such bucket"
    ) as caught:
        store.put("a", b"1")
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match=r"cannot list s3://no-such-bucket/prefix/a: there is no such bucket"):
        store.sizes("a")


@pytest.mark.parametrize(
    "url",
    ["", "/", "gs://bucket/prefix", "http://host/x", "s3://", "s3:///prefix", "s3:/b/x", "file://host/x", "file:"],
)
def test_an_unsupported_url_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput, match="give s3://bucket/prefix or the path of a folder"):
        StoreLocator(url=url)


@pytest.mark.parametrize(
    "path", ["{}/data", "./out", "out", "../{name}/out", "~/a b", "a#b?c", "100%", "{}/x/../y", "ü@h"]
)
def test_a_folder_is_given_by_its_path_as_well(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    place = path.format(here, name="here")

    store = StoreLocator(url=place).open()
    store.put("x/data", b"1")

    assert (Path(os.path.expanduser(place)).resolve() / "x" / "data").read_bytes() == b"1"
    assert store.url.startswith("file:///")
    assert StoreLocator(url=store.url).open().get("x/data") == b"1"


@pytest.mark.parametrize("path", ["~nobody-of-that-name/x", "a\0/../b", "a\nb", "a\\b"])
def test_a_path_that_cannot_be_followed_is_bad_input(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput) as caught:
        StoreLocator(url=path)
    assert "\n" not in str(caught.value)


def test_of_a_long_url_no_more_than_200_characters_are_repeated() -> None:
    with pytest.raises(BadInput) as caught:
        StoreLocator(url="gs://" + "a" * 5_000)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("url", ["file:///data/a#b", "s3://bucket/a?b=c"])
def test_what_a_url_would_silently_drop_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput, match=r"has a \? or #"):
        StoreLocator(url=url)


def test_a_slash_at_the_end_of_the_url_changes_nothing(store_url: str) -> None:
    StoreLocator(url=store_url + "/").open().put("a", b"1")

    assert StoreLocator(url=store_url).open().get("a") == b"1"
    assert StoreLocator(url=store_url + "/").open().uri("a") == f"{store_url}/a"


def test_a_folder_with_blanks_in_its_name_is_the_one_of_its_uri(tmp_path: Path) -> None:
    folder = tmp_path / "my cells"

    StoreLocator(url=folder.as_uri()).open().put("a b", b"1")

    assert (folder / "a b").read_bytes() == b"1"


def test_a_locator_hides_its_keys_and_travels(s3: Bucket) -> None:
    locator = s3.locator()

    assert "test-secret" not in repr(locator)
    assert "test-secret" not in f"{locator}"
    assert pickle.loads(pickle.dumps(locator)) == locator
