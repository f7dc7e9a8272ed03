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
    command = [sys.executable, "-m", "cxg_assets_tests.counted_s3", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            endpoint = f"127.0.0.1:{int(server.stdout.readline())}"
            _upload(census, f"http://{endpoint}")
            settings = {
                "vfs.s3.endpoint_override": endpoint,
                "vfs.s3.scheme": "http",
                "vfs.s3.use_virtual_addressing": "false",
                **{f"vfs.s3.{name}": value for name, value in KEYS.items()},
            }
            counted = CountedCensus(f"s3://{BUCKET}/{NAME}", settings, log)
            counted.forget()
            yield counted
        finally:
            server.terminate()


def _upload(census: Path, endpoint_url: str) -> None:
    session = boto3.Session(KEYS["aws_access_key_id"], KEYS["aws_secret_access_key"], region_name=KEYS["region"])
    client = session.client("s3", endpoint_url=endpoint_url)
    client.create_bucket(Bucket=BUCKET)
    for file in census.rglob("*"):
        if file.is_file():
            client.upload_file(str(file), BUCKET, f"{NAME}/{file.relative_to(census).as_posix()}")


def _serve(log: TextIO) -> None:
    """Serves for ever; says its port when it listens."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server
    from werkzeug.wrappers import Request

    moto = DomainDispatcherApplication(create_backend_app)

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        place = request.args.get("prefix", request.path.removeprefix(f"/{BUCKET}/"))
        log.write(" ".join((request.method, place.removeprefix(f"{NAME}/"), request.headers.get("Range", ""))) + "\n")
        log.flush()
        return moto(environ, start_response)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, answer, threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    with Path(sys.argv[1]).open("a") as opened:
        _serve(opened)
