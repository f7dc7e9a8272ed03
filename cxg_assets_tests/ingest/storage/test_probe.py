"""A destination is proven before any work; nothing is left there, and each reason has its own message."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.storage import probe as probe_module
from cxg_assets.ingest.storage.probe import lacking, probe, probe_writing
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets_tests.conftest import Bucket
from cxg_assets_tests.servers.strict_s3 import (
    DELETE,
    GET,
    LIST,
    ONCE,
    PUT,
    QUICKLY,
    Failure,
    Key,
    Rules,
    StrictS3,
)


@pytest.fixture(params=["folder", "s3"])
def locator(request: pytest.FixtureRequest, store_url: str) -> StoreLocator:
    """An empty store of either kind."""
    if request.param == "folder":
        return StoreLocator(url=store_url)
    return request.getfixturevalue("s3").locator("some/prefix")


def test_a_destination_that_can_be_used_passes_and_nothing_is_left_there(locator: StoreLocator, tmp_path: Path) -> None:
    assert probe(locator) == locator

    assert locator.open().sizes("") == {}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_several_prove_and_begin_to_fill_at_once_does_not_vanish(tmp_path: Path) -> None:
    n_writers = 4
    start = threading.Barrier(n_writers)

    def begin(writer: int) -> None:
        for number in range(100):
            folder = tmp_path / f"some{number}" / "folder"
            start.wait(60)
            try:
                probe(StoreLocator(url=folder.as_uri()))
                folder.mkdir(parents=True, exist_ok=True)
                (folder / str(writer)).touch()
            except BaseException:
                start.abort()  # nobody waits for a writer that has failed
                raise

    with ThreadPoolExecutor(n_writers) as threads:
        for writing in [threads.submit(begin, writer) for writer in range(n_writers)]:
            writing.result()


def test_a_bucket_that_is_not_there_is_bad_input(s3: Bucket) -> None:
    with pytest.raises(
        BadInput, match=r"destination: cannot list s3://no-such-bucket/prefix/.*: there is no such bucket"
    ):
        probe(StoreLocator(url="s3://no-such-bucket/prefix", s3=s3.settings))


def test_a_file_in_the_place_of_the_destination_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(BadInput, match=f"destination: {tmp_path}/file.*"):
        probe(StoreLocator(url=(tmp_path / "file").as_uri()))
    with pytest.raises(BadInput, match=f"destination: {tmp_path}/file.*"):
        probe(StoreLocator(url=(tmp_path / "file" / "below").as_uri()))


@pytest.fixture
def server(server: StrictS3, monkeypatch: pytest.MonkeyPatch) -> StrictS3:
    """Nobody waits for it."""
    monkeypatch.setattr(probe_module, "SHORT", ONCE)
    return server


def left_behind(server: StrictS3, locator: StoreLocator) -> list[str]:
    server.obey(Rules())
    return list(locator.open(ONCE).sizes(""))


def refusal(locator: StoreLocator) -> str:
    with pytest.raises(BadInput) as caught:
        probe(locator)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_bucket_takes_five_requests(server: StrictS3) -> None:
    locator = server.locator()

    assert probe(locator) == locator

    assert [asked.method for asked in server.requests()] == ["GET", "PUT", "PUT", "GET", "DELETE"]
    assert left_behind(server, locator) == []


def test_who_lists_anyway_need_not_list_twice(server: StrictS3) -> None:
    locator = server.locator()

    assert probe_writing(locator) == locator

    assert [asked.method for asked in server.requests()] == ["PUT", "PUT", "GET", "DELETE"]


@pytest.mark.parametrize(("denied", "told"), [(LIST, "cannot list"), (PUT, "cannot write"), (GET, "cannot read")])
def test_a_permission_that_is_missing_is_told_and_nothing_is_left(server: StrictS3, denied: str, told: str) -> None:
    locator = server.locator()
    server.obey(Rules(keys=(Key(denied=(denied,)),)))

    message = refusal(locator)

    assert message.startswith(f"destination: {told} {locator.url}/")
    assert "S3 does not permit it; the policy of the keys must allow to list, read, write and delete there" in message
    assert left_behind(server, locator) == []


def test_who_may_not_delete_is_told_what_stays(server: StrictS3) -> None:
    locator = server.locator()
    server.obey(Rules(keys=(Key(denied=(DELETE,)),)))

    message = refusal(locator)

    (path,) = left_behind(server, locator)
    assert message.startswith(f"destination: cannot delete {locator.url}/")
    assert message.endswith(f"; {locator.url}/{path} stays there")


def test_keys_that_s3_does_not_know_are_told(server: StrictS3) -> None:
    server.obey(Rules(keys=()))

    assert "S3 does not know the keys; check AWS_ACCESS_KEY_ID" in refusal(server.locator())


def test_a_wrong_region_is_told_with_the_right_one(server: StrictS3) -> None:
    server.obey(Rules(region="eu-central-1"))

    assert refusal(server.locator()).endswith("it is eu-central-1")


def test_a_bucket_that_is_not_there_is_told(server: StrictS3) -> None:
    assert "there is no such bucket" in refusal(server.locator(bucket="nosuch"))


def test_no_credentials_are_told(server: StrictS3) -> None:
    assert "there are no credentials; set AWS_ACCESS_KEY_ID" in refusal(server.locator(server.settings(None)))
    assert server.requests() == []


def test_a_public_bucket_cannot_be_written(server: StrictS3) -> None:
    server.obey(Rules(public=True))

    message = refusal(server.locator(server.settings(None, anonymous=True)))

    assert "cannot write" in message
    assert "S3 does not permit it" in message


def test_a_server_that_does_not_listen_is_told(server: StrictS3) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        settings = server.settings(endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        message = refusal(server.locator(settings))

    assert "the S3 server cannot be reached; check AWS_ENDPOINT_URL and the network" in message


def test_an_unknown_host_name_is_told(server: StrictS3) -> None:
    settings = server.settings(endpoint_url="http://nosuch.invalid:9000")

    assert "the name of the S3 server is not known; check AWS_ENDPOINT_URL" in refusal(server.locator(settings))


def test_https_to_a_server_of_http_is_told(server: StrictS3) -> None:
    settings = server.settings(endpoint_url=f"https://{server.endpoint}")

    assert "check that https in AWS_ENDPOINT_URL is correct" in refusal(server.locator(settings))


CREATE, CHECKSUMS = "does not support conditional writes", "does not support SHA-256 checksums"


@pytest.mark.parametrize(
    ("rules", "lacks"),
    [
        (Rules(conditions="ignored"), [CREATE]),
        (Rules(conditions="refused"), [CREATE]),
        (Rules(checksums="refused_in_puts"), [CHECKSUMS]),
        (Rules(checksums="refused_in_puts", conditions="ignored"), [CREATE, CHECKSUMS]),
        (Rules(checksums="refused_in_puts", conditions="refused"), [CREATE, CHECKSUMS]),
        (Rules(checksums="refused"), [CHECKSUMS]),
    ],
    ids=lambda value: f"{value.conditions}-{value.checksums}" if isinstance(value, Rules) else "",
)
def test_what_an_s3_lacks_is_switched_off_and_told(server: StrictS3, rules: Rules, lacks: list[str]) -> None:
    locator = server.locator()
    server.obey(rules)

    proven = probe(locator)

    expected = replace(locator, conditional_create=CREATE not in lacks, checksums=CHECKSUMS not in lacks)
    told = [finding.what for finding in lacking(proven)]
    assert proven == expected
    assert told == [next(text for text in told if lack in text) for lack in lacks]
    assert all(text.startswith(f"{locator.url}: ") for text in told)
    assert proven.open(ONCE).put_chunk("chunk", b"data", "f").created
    assert proven.open(ONCE).get("chunk") == b"data"
    assert left_behind(server, locator) == ["chunk"]


def test_what_is_damaged_on_the_way_is_no_reason_to_go_without_checksums(
    server: StrictS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_module, "SHORT", QUICKLY)
    locator = server.locator()
    server.obey(Rules(damaged_puts=2))

    assert probe(locator) == locator


def test_a_busy_s3_is_not_taken_for_one_that_lacks_something(server: StrictS3) -> None:
    locator = server.locator()
    server.obey(Rules(failures=(Failure(status=503, code="SlowDown", methods=("PUT",), times=1),)))

    message = refusal(locator)

    assert "S3 is overloaded or out of order" in message


def test_a_probe_whose_answer_was_lost_is_removed(server: StrictS3) -> None:
    locator = server.locator()
    server.obey(Rules(failures=(Failure(status=500, code="InternalError", methods=("PUT",), done=True),)))

    assert "S3 is overloaded or out of order" in refusal(locator)
    assert left_behind(server, locator) == []
