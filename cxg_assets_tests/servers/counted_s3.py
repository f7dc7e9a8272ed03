"""A Census on an S3 server over HTTP that writes down what it is asked for.

A process of its own: parts of tiledbsoma hold the GIL while they wait for the server.
"""

import contextlib
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import boto3

BUCKET = "counted-census"
NAME = "demo"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test-secret", "region": "us-east-1"}
"""moto takes any; under TileDB's names."""

ACCESS_DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@dataclass(frozen=True)
class CountedCensus:
    """A Census in S3.

    Attributes:
        uri: The Census.
        tiledb_config: How TileDB reaches it.
        log: Where its server writes each request down, one a line.
    """

    uri: str
    tiledb_config: dict[str, str]
    log: Path

    def forget(self) -> None:
        """Empties the log."""
        self.log.write_text("")

    def requests(self) -> Counter[str]:
        """How often each request was made: method, place within the Census (of a list: its prefix), range."""
        return Counter(self.log.read_text().splitlines())


@contextlib.contextmanager
def serve_census(census: Path, folder: Path) -> Iterator[CountedCensus]:
    """Serves a copy of a local Census.

    Args:
        census: The Census.
        folder: For the log.
    """
    log = folder / "requests.log"
    with run_server(log, BUCKET, NAME) as endpoint:
        upload(census, f"http://{endpoint}", BUCKET, NAME)
        keys = {f"vfs.s3.{name}": value for name, value in KEYS.items()}
        counted = CountedCensus(f"s3://{BUCKET}/{NAME}", tiledb_settings(endpoint) | keys, log)
        counted.forget()
        yield counted


@contextlib.contextmanager
def run_server(log: Path, bucket: str, prefix: str) -> Iterator[str]:
    """Runs an S3 server that holds nothing yet; gives its host and port.

    Args:
        log: Where it writes each request down, one a line, with places relative to the prefix.
        bucket: Its only bucket, which is not made yet.
        prefix: Where the Census will be in the bucket.
    """
    command = [sys.executable, "-m", "cxg_assets_tests.servers.counted_s3", str(log), bucket, prefix]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()  # where SIGINT is ignored Dagster makes its process, and what it starts, ignore SIGTERM too


def tiledb_settings(endpoint: str) -> dict[str, str]:
    """How TileDB reaches the server, without keys."""
    return {
        "vfs.s3.endpoint_override": endpoint,
        "vfs.s3.scheme": "http",
        "vfs.s3.use_virtual_addressing": "false",
    }


def upload(census: Path, endpoint_url: str, bucket: str, prefix: str, acl: str = "private") -> None:
    """Makes a bucket and uploads a Census.

    Args:
        census: The Census.
        endpoint_url: URL of the server.
        bucket: Name of the bucket.
        prefix: Where the Census goes in the bucket.
        acl: Who may read bucket and objects, as S3 names it, like `public-read`.
    """
    session = boto3.Session(KEYS["aws_access_key_id"], KEYS["aws_secret_access_key"], region_name=KEYS["region"])
    client: Any = session.client("s3", endpoint_url=endpoint_url)
    client.create_bucket(Bucket=bucket, ACL=acl)
    for file in census.rglob("*"):
        if file.is_file():
            key = f"{prefix}/{file.relative_to(census).as_posix()}"
            client.upload_file(str(file), bucket, key, ExtraArgs={"ACL": acl})


def _serve(log: TextIO, bucket: str, prefix: str) -> None:
    """Serves for ever; says its port when it listens."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server
    from werkzeug.wrappers import Request, Response

    moto = DomainDispatcherApplication(create_backend_app)

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        place = request.args.get("prefix", request.path.removeprefix(f"/{bucket}/"))
        log.write(" ".join((request.method, place.removeprefix(f"{prefix}/"), request.headers.get("Range", ""))) + "\n")
        log.flush()
        # moto would let anybody write.
        if request.method not in ("GET", "HEAD") and "Authorization" not in request.headers:
            return Response(ACCESS_DENIED, status=403, mimetype="application/xml")(environ, start_response)
        return moto(environ, start_response)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, answer, threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    with Path(sys.argv[1]).open("a") as opened:
        _serve(opened, *sys.argv[2:])


def tells_the_build(request: str) -> bool:
    """Whether a request is one of those that find out which build a Census is: for its root or for its summary."""
    return "census_data" not in request and "census_info/datasets" not in request
