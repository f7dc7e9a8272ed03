"""Whatever a destination or a path is called, what is stored lies below the destination, and nothing else changes."""

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.ingest import layout
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.spec import RESERVED_NAMES, SubsetSpec
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets_tests.conftest import Bucket
from cxg_assets_tests.properties.profile import PROPERTY

HARMLESS = ["a", "b c", "ü", "a%20b", "..a", "a..", "...", "~", "C:", "$HOME", "*"]
LEADING_OUT = ["..", ".", "", "%2e%2e", "%2E.", ".%2e", "\u2024\u2024", "\uff0e\uff0e", "\u200b"]
LEADING_OUT += ["%2f", "..%2fa", "%5c", "\\", "a\\..\\b", "%00", "a\0", "a\n", "a\tb", "%ff"]
SEGMENTS = st.sampled_from([*HARMLESS, *LEADING_OUT])
PATHS = st.lists(SEGMENTS, max_size=4).map("/".join)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,62}", fullmatch=True) | st.sampled_from(["subset", "index", "census", "a"])

OPERATIONS: dict[str, Callable[[Store, str], Any]] = {
    "put": lambda store, path: store.put(path, b"new"),
    "put a file": lambda store, path: store.put(path, Path(__file__)),
    "put_chunk": lambda store, path: store.put_chunk(path, b"new", "f"),
    "get": lambda store, path: store.get(path),
    "get_range": lambda store, path: store.get_range(path, 0, 1),
    "exists": lambda store, path: store.exists(path),
    "sizes": lambda store, path: store.sizes(path),
    "links": lambda store, path: store.links([path], 60),
    "local_copy": lambda store, path: _copied(store, path),
    "delete": lambda store, path: store.delete(path),
}


def _copied(store: Store, path: str) -> Path:
    with store.local_copy(path) as file:
        return file.resolve()


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@contextlib.contextmanager
def sandbox() -> Iterator[Path]:
    """A folder of folders with a file in each, around the place where a destination begins."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        start = root / "one" / "two" / "three"
        start.mkdir(parents=True)
        for place in (root, start.parent.parent, start.parent, start):
            (place / "guarded").write_bytes(b"old")
        yield start


@settings(PROPERTY, max_examples=200)
@given(path=PATHS)
def test_a_destination_is_the_folder_that_it_names_or_bad_input(path: str) -> None:
    with sandbox() as start:
        root = start.parents[2]
        url = f"{start.as_uri()}/{path}"
        try:
            store = StoreLocator(url=url).open()
        except BadInput:
            return
        store.put("x/data", b"new")

        expected = Path(f"{start}/{unquote(path)}".rstrip("/"), "x", "data")
        assert ".." not in expected.parts
        changed = {name for name, content in tree(root).items() if content != b"old"}
        assert changed == {str(expected.relative_to(root))}
        assert unquote(urlsplit(store.uri("x/data")).path) == str(expected)


@pytest.mark.parametrize(
    "url",
    [
        "file:///", "file:////", "file:///a/../b", "file:///a/./b", "file:///a//b", "file:///a/%2e%2e/b", "file:////etc",
        "file:///a/%2E%2e", "file:///a/..", "file:///a%2f..%2fb", "file:///a\\..\\b", "file:///a\nb", "file:///a%00b",
        "file:///a\0b", "file:///%ff", " file:///a", "FILE:///a", "file://localhost/a", "file:a",
        "s3://bucket/a/../b", "s3://bucket/./a", "s3://bucket//a", "s3://bucket/a//", "s3://bucket/%2e%2e/a",
        "s3://bucket/a\\b", "s3://buc\nket/a", "s3://bucket\t/a", "S3://bucket/a",
        "s3://ab", "s3://" + "a" * 64, "s3://Bucket", "s3://my_bucket", "s3://-bucket", "s3://bucket-", "s3://a..b",
        "s3://192.168.5.4", "s3://bucket:9000/a", "s3://b\u00fccket/a", "s3://[::1]/a", "s3://../a", "s3://%2e%2e/a",
    ],
)  # fmt: skip
def test_a_destination_that_could_be_read_as_another_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match=r"^destination: .*(give s3://|take it out|write the place itself)") as refusal:
        StoreLocator(url=url)
    assert "\n" not in str(refusal.value)


def test_keys_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(BadInput, match=r"AWS_\* variables") as refusal:
        StoreLocator(url="s3://AKIA:secret@bucket/prefix")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("url", ["s3://bucket", "s3://my.bucket-1/a b/ü/x%20y/", "file:///a..b/.h", "file:///data/"])
def test_a_plain_destination_is_taken_as_it_is(url: str) -> None:
    assert StoreLocator(url=url).url == url


@settings(PROPERTY, max_examples=100)
@given(path=PATHS)
def test_no_path_leads_out_of_a_folder(path: str) -> None:
    for name, operation in OPERATIONS.items():
        with sandbox() as start:
            root = start.parents[2]
            store = StoreLocator(url=(start / "store").as_uri()).open()
            store.put("inside", b"old")
            with contextlib.suppress(CxgError, FileNotFoundError):
                result = operation(store, path)
                if name == "local_copy":
                    assert result.is_relative_to(start / "store")
                if name == "links":
                    assert ".." not in Path(urlsplit(result[0]).path).parts
            inside = str((start / "store").relative_to(root))
            outside = {file: content for file, content in tree(root).items() if not file.startswith(inside)}
            assert len(outside) == 4
            assert set(outside.values()) == {b"old"}


HOSTILE = ["..", "../guarded", "a/../../guarded", "../store", "./x", "a//b", "%2e%2e/guarded", "..%2fguarded"]
HOSTILE += ["\\..\\x", "a\0b", "a\nb", "/guarded", "//guarded", "../storeroom/x", "~", "s3://other/x", "a/.."]


@pytest.mark.parametrize("path", HOSTILE, ids=ascii)
def test_no_path_leads_out_of_a_prefix_in_s3(s3: Bucket, path: str) -> None:
    for key in ("guarded", "storeroom/x"):
        s3.client.put_object(Bucket=s3.name, Key=key, Body=b"old")
    store = s3.locator("store").open()
    for name, operation in OPERATIONS.items():
        with contextlib.suppress(CxgError, FileNotFoundError):
            result = operation(store, path)
            if name == "links":
                assert urlsplit(result[0]).path.startswith(f"/{s3.name}/store/")
        keys = {item["Key"] for item in s3.client.list_objects_v2(Bucket=s3.name)["Contents"]}
        assert {key for key in keys if not key.startswith("store/")} == {"guarded", "storeroom/x"}
        assert s3.client.get_object(Bucket=s3.name, Key="guarded")["Body"].read() == b"old"


def allowed(name: str) -> bool:
    try:
        SubsetSpec(name=name, organism="homo_sapiens")
    except BadInput:
        return False
    return True


def paths_of(subset: str, fingerprint: str, plan_id: str, chunk: str) -> list[str]:
    """Everything of a subset."""
    of_plan = (layout.plan_path, layout.manifest_path, layout.card_path, layout.citations_path, layout.measured_path)
    of_subset = (layout.subset_obs_path, layout.subset_var_path, layout.subset_json_path)
    return [
        *(path(subset, fingerprint) for path in of_subset),
        *(path(subset, plan_id) for path in of_plan),
        layout.chunk_path(subset, plan_id, chunk, fingerprint),
        layout.dataset_path(subset),
    ]


@settings(PROPERTY)
@given(names=st.tuples(NAMES, NAMES), fingerprint=HEX, other=HEX, chunk=st.integers(0, 99_999))
def test_subsets_never_share_a_path_with_another_nor_with_an_index(
    names: tuple[str, str], fingerprint: str, other: str, chunk: int
) -> None:
    plan_id = other[: layout.N_DIGITS]
    paths = {name: paths_of(name, fingerprint, plan_id, f"{chunk:05d}") for name in names if allowed(name)}
    index = layout.index_path(f"2025-11-08-{fingerprint[:8]}", names[0])

    for name, own in paths.items():
        assert all(path.startswith(f"{name}/") for path in own)
        assert len(set(own)) == len(own)
        assert not index.startswith(f"{name}/")
        # Nor with one whose destination is the folder of a subset.
        assert not any(path.startswith(f"{other_name}/{name}/") for other_name in paths for path in paths[other_name])
    for one, two in combinations(paths.values(), 2):
        assert not set(one) & set(two)


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_a_name_that_is_taken_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(BadInput, match=f"name: '{name}' is taken: .*; choose another"):
        SubsetSpec(name=name, organism="homo_sapiens")


NAMES = (PATHS | st.text(max_size=8) | st.sampled_from(["a\n", "a ", "A", "\uff41", "a\u0131", "a-b", "a.b"])).filter(
    lambda name: name not in RESERVED_NAMES
)


@settings(PROPERTY, max_examples=150)
@given(name=NAMES)
def test_a_name_is_one_plain_word_or_refused(name: str) -> None:
    for attribute in ("name", "organism"):
        attributes: dict[str, Any] = {"name": "sample", "organism": "homo_sapiens", attribute: name}
        if re.fullmatch(r"[a-z][a-z0-9_]*\Z", name, re.ASCII):
            assert getattr(SubsetSpec(**attributes), attribute) == name
        else:
            with pytest.raises(BadInput, match=f"^{attribute}: "):
                SubsetSpec(**attributes)


@pytest.mark.parametrize("build", ["../../blood", "2025/11/08", "", "..", "a\nb", "\0", "2025 11", "%2e%2e"])
def test_a_census_whose_build_is_no_name_gets_no_index(build: str) -> None:
    with pytest.raises(CxgError, match=r"calls its build .* which cannot name a folder"):
        layout.index_path(build, "homo_sapiens")
    with pytest.raises(CxgError, match=r"calls its build .* which cannot name a folder"):
        layout.index_json_path(build, "homo_sapiens")
