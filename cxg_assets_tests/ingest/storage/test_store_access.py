"""Who reaches a bucket, and how: links, addressing, public buckets, keys that a program gives."""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from cxg_assets.ingest.errors import StoreError
from cxg_assets.ingest.storage.s3 import S3Settings
from cxg_assets_tests.servers.strict_s3 import (
    BUCKET,
    LIST,
    ONCE,
    Key,
    Rules,
    StrictS3,
)

AMAZON = "s3.us-east-1.amazonaws.com"


pytestmark = pytest.mark.usefixtures("no_aws")


@pytest.fixture
def virtual(server: StrictS3, monkeypatch: pytest.MonkeyPatch) -> S3Settings:
    """Settings of virtual addressing, with the server in the place of Amazon's."""
    monkeypatch.setenv("http_proxy", f"http://{server.endpoint}")
    return server.settings(endpoint_url=f"http://{AMAZON}", virtual_addressing=True)


@pytest.fixture
def make_profile(tmp_path: Path) -> Callable[[Key], str]:
    """A function: makes a profile whose keys a program gives."""

    def make(key: Key) -> str:
        given = f'"AccessKeyId": "{key.id}", "SecretAccessKey": "{key.secret}", "SessionToken": "{key.token}"'
        (tmp_path / "keys.json").write_text(f'{{"Version": 1, "Expiration": "2099-01-01T00:00:00Z", {given}}}')
        (tmp_path / "aws-config").write_text(f"[profile sso]\ncredential_process = cat {tmp_path}/keys.json\n")
        return "sso"

    return make


def download(url: str) -> bytes:
    """What anybody gets, with the proxy of this moment."""
    with urllib.request.build_opener().open(url) as answer:
        return answer.read()


@pytest.mark.parametrize(
    "key", [Key(), Key(id="ASIATEMPORARY0000001", token="temporary/token==")], ids=["key", "token"]
)
def test_a_link_works_without_keys_and_stops_working(server: StrictS3, key: Key) -> None:
    server.obey(Rules(keys=(key,)))
    store = server.locator(server.settings(key)).open(ONCE)
    store.put("a b/ü+1.h5ad", b"data")

    (link,) = store.links(["a b/ü+1.h5ad"], 60)

    assert download(link) == b"data"
    assert key.secret not in link
    server.obey(Rules(keys=(key,), clock_seconds=61))
    with pytest.raises(urllib.error.HTTPError, match="403"):
        download(link)


def test_many_links_take_no_request(server: StrictS3) -> None:
    links = server.locator().open(ONCE).links([f"{number}.h5ad" for number in range(1_500)], 60)

    assert [Path(link.partition("?")[0]).name for link in links] == [f"{number}.h5ad" for number in range(1_500)]
    assert server.requests() == []


def test_virtual_addressing_puts_the_bucket_into_the_host(server: StrictS3, virtual: S3Settings) -> None:
    locator = server.locator(virtual)
    store = locator.open(ONCE)

    store.put_chunk("chunk", b"data", "f")
    (link,) = store.links(["chunk"], 60)

    assert store.get("chunk") == b"data"
    assert store.sizes("") == {"chunk": 4}
    assert link.startswith(f"http://{BUCKET}.{AMAZON}/")
    assert download(link) == b"data"
    store.delete("chunk")
    assert store.sizes("") == {}
    assert {asked.host for asked in server.requests()} == {f"{BUCKET}.{AMAZON}"}
    assert {asked.path for asked in server.requests()} == {"/", f"/{locator.url.rpartition('/')[2]}/chunk"}


def test_path_addressing_puts_the_bucket_into_the_path(server: StrictS3) -> None:
    server.locator().open(ONCE).put("a", b"1")

    (asked,) = server.requests()
    assert asked.host == server.endpoint
    assert asked.path.startswith(f"/{BUCKET}/")


def test_a_public_bucket_is_read_without_keys_and_cannot_be_written(server: StrictS3) -> None:
    locator = server.locator()
    locator.open(ONCE).put("a", b"1")
    server.obey(Rules(public=True))
    anonymous = server.settings(None, anonymous=True)
    store = type(locator)(url=locator.url, s3=anonymous).open(ONCE)

    assert store.get("a") == b"1"
    assert store.sizes("") == {"a": 1}
    with pytest.raises(StoreError, match="S3 does not permit it"):
        store.put("b", b"1")
    assert {asked.scope for asked in server.requests()} == {""}


def test_links_to_a_public_bucket_are_plain_urls(server: StrictS3) -> None:
    locator = server.locator()
    locator.open(ONCE).put("a", b"1")
    server.obey(Rules(public=True))
    store = type(locator)(url=locator.url, s3=server.settings(None, anonymous=True)).open(ONCE)

    (link,) = store.links(["a"], 60)

    assert download(link) == b"1"


def test_who_may_not_list_is_told_so_of_an_absent_object(server: StrictS3) -> None:
    server.obey(Rules(keys=(Key(denied=(LIST,)),)))
    store = server.locator().open(ONCE)

    with pytest.raises(StoreError, match="S3 does not permit it"):
        store.get("absent")
    with pytest.raises(StoreError, match="S3 does not permit it"):
        store.exists("absent")


def test_keys_of_a_program_are_asked_for_when_they_are_needed(
    server: StrictS3, tmp_path: Path, make_profile: Callable[[Key], str]
) -> None:
    key = Key(id="ASIATEMPORARY0000001", token="temporary/token==")
    server.obey(Rules(keys=(key,)))
    store = server.locator(server.settings(None, profile=make_profile(key))).open(ONCE)

    store.put_chunk("chunk", b"data", "f")

    assert download(store.links(["chunk"], 60)[0]) == b"data"
