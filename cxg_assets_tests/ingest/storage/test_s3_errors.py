"""Whatever S3 or the way to it says, the user is told the cause and what to do, in one line and without keys."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.errors import CxgError, StoreError, Unreachable
from cxg_assets.ingest.storage.s3 import S3Settings
from cxg_assets.ingest.storage.s3_errors import explain, is_transient
from cxg_assets_tests.servers.strict_s3 import (
    BUCKET,
    GET,
    LIST,
    ONCE,
    PUT,
    REGION,
    Failure,
    Key,
    Rules,
    StrictS3,
)

TEMPORARY = Key(id="ASIATEMPORARY0000001", secret="temporary-secret", token="temporary/token==")

KEYS = "S3 does not know the keys; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE"
EXPIRED = "the keys have expired; log in again"
REGION_TOLD = "the bucket is in another region; set AWS_REGION"
DENIED = "S3 does not permit it; the policy of the keys must allow"
BUSY = "S3 is overloaded or out of order"
DAMAGED = "what arrived was damaged on the way"
NO_SECURE = "no secure connection to the S3 server; check that https in AWS_ENDPOINT_URL is correct"

OF_A_DUMP = ("\n", "Debug", "<", "source:", "RetryError", "retries", "[Exception", "Remote IP", "Headers", "std::")


pytestmark = pytest.mark.usefixtures("no_aws")


def write_by_obstore(settings: S3Settings, bucket: str) -> None:
    StrictS3("", Path()).locator(settings, bucket=bucket).open(ONCE).put_chunk("chunk", b"data", "f")


def open_by_tiledb(settings: S3Settings, bucket: str) -> None:
    config = settings.tiledb_config() | {"vfs.s3.connect_max_tries": "1"}
    CensusLocator(uri=f"s3://{bucket}/census", tiledb_config=tuple(config.items())).open()


Ask = Callable[[S3Settings, str], None]
CLIENTS = pytest.mark.parametrize("ask", [write_by_obstore, open_by_tiledb])


def refusal(ask: Ask, settings: S3Settings, bucket: str = BUCKET) -> CxgError:
    """How it is refused; the message is one that can be shown."""
    with pytest.raises(CxgError) as caught:
        ask(settings, bucket)
    message = str(caught.value)
    assert not [part for part in OF_A_DUMP if part in message]
    for hidden in (settings.access_key_id, settings.secret_access_key, settings.session_token):
        assert hidden is None or hidden not in message
    return caught.value


@CLIENTS
@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (Rules(keys=()), KEYS),
        (Rules(keys=(Key(id=TEMPORARY.id, secret="another", token=TEMPORARY.token),)), KEYS),
        (Rules(keys=(Key(id=TEMPORARY.id, secret=TEMPORARY.secret, token="another"),)), KEYS),
        (Rules(keys=(Key(id=TEMPORARY.id, token=TEMPORARY.token, expired=True),)), EXPIRED),
        (Rules(keys=(TEMPORARY,), clock_seconds=-3_600), "the clock of this machine is wrong; set it"),
        (Rules(keys=(TEMPORARY,), region="eu-west-1"), REGION_TOLD),
        (
            Rules(keys=(Key(id=TEMPORARY.id, secret=TEMPORARY.secret, token=TEMPORARY.token, denied=(PUT, LIST)),)),
            DENIED,
        ),
    ],
    ids=["key", "secret", "token", "expired", "clock", "region", "denied"],
)
def test_a_refusal_of_the_keys_tells_its_cause_and_does_not_pass(
    server: StrictS3, rules: Rules, told: str, ask: Ask
) -> None:
    server.obey(rules)

    error = refusal(ask, server.settings(TEMPORARY))

    assert told in str(error)
    assert not isinstance(error, Unreachable)


@CLIENTS
def test_the_right_region_is_named(server: StrictS3, ask: Ask) -> None:
    server.obey(Rules(region="eu-west-1"))

    assert str(refusal(ask, server.settings())).endswith("it is eu-west-1")


@CLIENTS
def test_a_bucket_that_is_not_there_is_told(server: StrictS3, ask: Ask) -> None:
    server.obey(Rules())

    error = refusal(ask, server.settings(), bucket="nosuch")

    assert "there is no such bucket; create it, or check its name and AWS_ENDPOINT_URL" in str(error)
    assert not isinstance(error, Unreachable)


@CLIENTS
@pytest.mark.parametrize(
    ("status", "code", "told", "may_pass"),
    [
        (400, "BadDigest", DAMAGED, True),
        (400, "XAmzContentSHA256Mismatch", DAMAGED, True),
        (400, "XAmzContentChecksumMismatch", DAMAGED, True),
        (400, "IncompleteBody", DAMAGED, True),
        (400, "RequestTimeout", BUSY, True),
        (429, "TooManyRequests", BUSY, True),
        (500, "InternalError", BUSY, True),
        (503, "ServiceUnavailable", BUSY, True),
        (502, "", BUSY, True),
        (503, "", BUSY, True),
        (504, "", BUSY, True),
        (403, "", DENIED, False),
        (301, "PermanentRedirect", REGION_TOLD, False),
        (307, "TemporaryRedirect", REGION_TOLD, False),
        (400, "TokenRefreshRequired", EXPIRED, False),
        (501, "NotImplemented", "this S3 does not support this request", False),
        (400, "InvalidStorageClass", "InvalidStorageClass", False),
        (400, "KMS.NotFoundException", "KMS.NotFoundException", False),
        (507, "XMinioStorageFull", "XMinioStorageFull", False),
    ],
)
def test_an_error_of_s3_tells_its_cause_and_whether_it_may_pass(
    server: StrictS3, status: int, code: str, told: str, may_pass: bool, ask: Ask
) -> None:
    server.obey(Rules(failures=(Failure(status=status, code=code),)))

    error = refusal(ask, server.settings())

    assert told in str(error)
    assert isinstance(error, Unreachable) == may_pass


def test_slow_down_may_pass(server: StrictS3) -> None:
    server.obey(Rules(failures=(Failure(status=503, code="SlowDown"),)))

    assert isinstance(refusal(write_by_obstore, server.settings()), Unreachable)
    # TileDB itself repeats it for minutes, so its words are told here.
    assert is_transient(
        RuntimeError("S3: Error while listing [HTTP Response Code: 503] [Exception: SlowDown] : Please wait")
    )


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (Rules(keys=(Key(denied=(GET,)),)), DENIED),
        (Rules(keys=()), DENIED),
        (Rules(region="eu-west-1"), "400 Bad Request"),
        (Rules(failures=(Failure(status=503, code="SlowDown"),)), BUSY),
    ],
    ids=["denied", "key", "region", "busy"],
)
def test_an_answer_without_a_body_is_told_as_well_as_can_be(server: StrictS3, rules: Rules, told: str) -> None:
    server.obey(rules)

    error = refusal(lambda settings, _: _exists(server, settings), server.settings())

    assert told in str(error)


def _exists(server: StrictS3, settings: S3Settings) -> None:
    server.locator(settings).open(ONCE).exists("chunk")


def test_a_denied_delete_is_told_like_other_denials(server: StrictS3) -> None:
    server.obey(Rules(keys=(Key(denied=("s3:DeleteObject",)),)))
    store = server.locator().open(ONCE)

    with pytest.raises(StoreError, match=DENIED):
        store.delete("chunk")


@CLIENTS
def test_a_server_that_does_not_listen_is_told_and_may_pass(ask: Ask) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        error = refusal(ask, _settings(f"http://127.0.0.1:{port}"))

    assert "the S3 server cannot be reached; check AWS_ENDPOINT_URL and the network" in str(error)
    assert isinstance(error, Unreachable)


@CLIENTS
def test_an_unknown_host_name_is_told(ask: Ask) -> None:
    error = refusal(ask, _settings("http://nosuch.invalid:9000"))

    assert "the name of the S3 server is not known; check AWS_ENDPOINT_URL and the network" in str(error)


@CLIENTS
def test_https_to_a_server_of_http_is_told_and_does_not_pass(server: StrictS3, ask: Ask) -> None:
    error = refusal(ask, _settings(f"https://{server.endpoint}"))

    assert NO_SECURE in str(error)
    assert not isinstance(error, Unreachable)


def test_an_untrusted_certificate_is_told_unless_it_is_not_to_be_checked() -> None:
    with _tls_server() as url:
        error = refusal(write_by_obstore, _settings(url))
        unchecked = refusal(write_by_obstore, _settings(url, verify=False))

    assert NO_SECURE in str(error)
    assert "the server's certificate" in str(error)
    assert not isinstance(error, Unreachable)
    assert BUSY in str(unchecked)


def test_a_connection_that_breaks_off_is_told_and_may_pass() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        hangs_up = threading.Thread(target=lambda: server.accept()[0].close())
        hangs_up.start()
        error = refusal(write_by_obstore, _settings(f"http://127.0.0.1:{server.getsockname()[1]}"))
        hangs_up.join()

    assert "the connection to S3 broke off" in str(error)
    assert isinstance(error, Unreachable)


def test_an_error_that_is_not_of_s3_keeps_its_own_words() -> None:
    error = ValueError("Path must not contain ..\n\nDebug source:\nGeneric { }")

    assert explain(error) == "Path must not contain .."
    assert not is_transient(error)
    assert explain(TimeoutError()) == "TimeoutError"


def _settings(url: str, *, verify: bool = True) -> S3Settings:
    return S3Settings(endpoint_url=url, region=REGION, access_key_id="KEY", secret_access_key="secret", verify=verify)


class _OutOfOrder(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self.send_error(503)

    def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        pass


@contextlib.contextmanager
def _tls_server() -> Iterator[str]:
    """A server whose certificate nobody trusts; it answers 503."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with HTTPServer(("127.0.0.1", 0), _OutOfOrder) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
