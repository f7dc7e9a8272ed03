"""JSON comes through a proxy and a server that stumbles; what does not come is told in one line, within the limit."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

import cxg_assets
from cxg_assets.ingest.census import release_directory
from cxg_assets.ingest.census.release_directory import fetch_objects
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets_tests.servers.release_directory import FOLDER, HOST, Answer, ReleaseDirectory, serve_directory

ONE = f"https://{HOST}{FOLDER}one.json"
TWO = f"https://{HOST}{FOLDER}two.json"
ATTEMPTS = 1 + release_directory.RETRIES


@dataclass(frozen=True, kw_only=True)
class Served:
    directory: ReleaseDirectory
    environment: dict[str, str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = ReleaseDirectory(files={"one.json": {"number": 1}, "two.json": {"number": 2}})
    with serve_directory(directory, tmp_path_factory.mktemp("served")) as environment:
        yield Served(directory=directory, environment=environment)


@pytest.fixture
def web(served: Served, monkeypatch: pytest.MonkeyPatch) -> ReleaseDirectory:
    """Two files behind proxy and TLS; the next retries do not wait."""
    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(release_directory, "BACKOFF_S", 0.001)
    served.directory.answers.clear()
    served.directory.asked.clear()
    served.directory.refused.clear()
    return served.directory


@pytest.fixture
def closed_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def failure(*urls: str) -> str:
    with pytest.raises(CxgError) as caught:
        fetch_objects(urls or (ONE,))
    assert not isinstance(caught.value, BadInput)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_objects_come_in_the_order_in_which_they_were_asked_for(web: ReleaseDirectory) -> None:
    assert fetch_objects([TWO, ONE]) == [{"number": 2}, {"number": 1}]

    assert [asked.path for asked in web.asked] == [f"{FOLDER}two.json", f"{FOLDER}one.json"]
    assert {asked.user_agent for asked in web.asked} == {f"cxg_assets/{cxg_assets.__version__}"}
    assert web.refused == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_recovers_is_asked_again(web: ReleaseDirectory, status: int) -> None:
    web.answers["one.json"] = [Answer(status=status)] * release_directory.RETRIES

    assert fetch_objects([ONE]) == [{"number": 1}]
    assert len(web.asked) == ATTEMPTS


def test_a_server_that_hangs_up_is_asked_again(web: ReleaseDirectory) -> None:
    web.answers["one.json"] = [Answer(hang_up=True)] * release_directory.RETRIES

    assert fetch_objects([ONE]) == [{"number": 1}]
    assert len(web.asked) == ATTEMPTS


def test_how_long_a_server_wants_to_be_left_alone_is_not_heeded(web: ReleaseDirectory) -> None:
    web.answers["one.json"] = [Answer(status=503, retry_after="86400")]

    assert fetch_objects([ONE]) == [{"number": 1}]


def test_a_server_that_does_not_recover_is_named_with_its_status(web: ReleaseDirectory) -> None:
    web.answers["two.json"] = [Answer(status=503)] * ATTEMPTS

    assert failure(ONE, TWO) == f"{TWO}: HTTP status 503; try again later"
    assert len(web.asked) == 1 + ATTEMPTS


def test_a_status_that_will_stay_is_not_tried_again(web: ReleaseDirectory) -> None:
    web.answers["one.json"] = [Answer(status=403)]

    assert failure() == f"{ONE}: HTTP status 403; try again later"
    assert len(web.asked) == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<html>please log in</html>", "is not JSON"),
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b'["stable"]', "is JSON, but not an object"),
        (b"null", "is JSON, but not an object"),
    ],
)
def test_what_is_no_object_is_told(web: ReleaseDirectory, body: bytes, told: str) -> None:
    web.answers["one.json"] = [Answer(body=body)]

    assert failure() == f"{ONE}: the answer {told}; check whether a proxy answered in its place"


def test_an_answer_that_is_cut_off_is_told(web: ReleaseDirectory) -> None:
    web.answers["one.json"] = [Answer(body=b'{"number"', lacks=10)]

    assert failure().startswith(f"{ONE}: no answer (IncompleteRead(9 bytes read, 10 more expected)")


def test_a_proxy_that_does_not_run_is_told(
    web: ReleaseDirectory, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")

    assert failure() == (
        f"{ONE}: no answer ([Errno 111] Connection refused); check the network, HTTPS_PROXY and REQUESTS_CA_BUNDLE"
    )


def test_a_proxy_that_refuses_is_told(web: ReleaseDirectory) -> None:
    assert failure("https://example.org/").startswith(
        "https://example.org/: no answer (Tunnel connection failed: 403 Forbidden);"
    )
    assert set(web.refused) == {"example.org:443"}


def test_a_host_that_does_not_listen_is_told(web: ReleaseDirectory, closed_port: int) -> None:
    url = f"https://127.0.0.1:{closed_port}/"

    assert failure(url).startswith(f"{url}: no answer ([Errno 111] Connection refused);")
    assert web.refused == []


def test_a_certificate_that_nobody_vouches_for_is_told(
    web: ReleaseDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))

    assert failure().startswith(f"{ONE}: no answer ([SSL: CERTIFICATE_VERIFY_FAILED] ")
    assert web.asked == []


def test_a_bundle_that_is_not_there_is_told(
    web: ReleaseDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))

    assert f"invalid path: {tmp_path}/missing.pem); check the network, HTTPS_PROXY and REQUESTS_CA_BUNDLE" in failure()


def test_a_server_that_never_answers_is_given_up_each_time(
    web: ReleaseDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_directory, "TIMEOUT_S", (10, 0.02))
    web.answers["one.json"] = [Answer(never=True)] * ATTEMPTS

    assert failure().startswith(f"{ONE}: no answer (The read operation timed out);")


def test_all_of_it_takes_no_longer_than_the_limit(web: ReleaseDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_directory, "LIMIT_S", 0.05)
    monkeypatch.setattr(release_directory, "RETRIES", 0)  # what is left behind asks no more
    web.answers["one.json"] = [Answer(never=True)]

    assert failure(ONE, TWO) == f"{ONE} and {TWO}: no whole answer within 0.05 s; try again later"
