"""Where the Census is read and where files go: a local folder, S3 on this machine, or S3 some milliseconds away.

Source and destination are chosen separately. Every S3 of a run is one server process over one folder; latency is a
proxy in front of it. Both listen on 127.0.0.1 only and end with the run.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 20

CENSUS_BUCKET = "census"
OUTPUT_BUCKET = "output"

_S3_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_REGION": "us-west-2",
    "AWS_DEFAULT_REGION": "us-west-2",
    "AWS_EC2_METADATA_DISABLED": "true",
    # boto3 would send bodies in signed pieces, which our server does not read; plain bodies cost boto3 less.
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a contender reads or writes.

    Attributes:
        name: For the table: `local`, `S3`, `S3 + 30 ms`.
        uri: Of the Census, or the prefix for files; a plain path in a folder.
        port: Port of its S3; 0 for a folder.
        counts_file: Where its server counts requests.
        folder: Where its bytes really are.
    """

    name: str
    uri: str
    port: int = 0
    counts_file: Path | None = None
    folder: Path

    @property
    def url(self) -> str:
        """The URI as our command takes it."""
        return self.uri if "://" in self.uri else Path(self.uri).absolute().as_uri()


@dataclass(frozen=True, kw_only=True)
class Route:
    """A source and a destination, and the settings with which any contender reaches them."""

    source: Place
    destination: Place

    @property
    def name(self) -> str:
        """For the table."""
        if self.source.name == self.destination.name:
            return self.source.name
        return f"{self.source.name} to {self.destination.name}"

    @property
    def tiledb_config(self) -> dict[str, str]:
        """TileDB settings of the source."""
        if not self.source.port:
            return {}
        return {
            "vfs.s3.endpoint_override": f"127.0.0.1:{self.source.port}",
            "vfs.s3.scheme": "http",
            "vfs.s3.use_virtual_addressing": "false",
            "vfs.s3.no_sign_request": "true",
            "vfs.s3.region": "us-west-2",
        }

    @property
    def environment(self) -> dict[str, str]:
        """Variables for a contender: the destination's S3, and the source's for our command (`TILEDB_…`)."""
        variables = {f"TILEDB_{name.upper().replace('.', '_')}": value for name, value in self.tiledb_config.items()}
        if self.source.port or self.destination.port:
            variables |= _S3_ENVIRONMENT
        if self.destination.port:
            variables["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{self.destination.port}"
        return variables

    def counts(self) -> dict[str, int]:
        """Requests so far, by bucket and method."""
        time.sleep(0.25)  # the servers write their counts ten times a second
        total: dict[str, int] = {}
        # A proxy and the server behind it count the same requests: each bucket is counted where it is used.
        for place, bucket in ((self.source, CENSUS_BUCKET), (self.destination, OUTPUT_BUCKET)):
            if place.counts_file is not None and place.counts_file.exists():
                counts = json.loads(place.counts_file.read_text())
                total |= {name: n for name, n in counts.items() if name.startswith(bucket)}
        return total


@dataclass
class Stores:
    """Starts servers as they are asked for, and makes fresh destinations."""

    work: Path
    _servers: dict[str, tuple[int, Path]] = field(default_factory=dict)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def close(self) -> None:
        """Ends the servers."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            if process.poll() is None:
                process.kill()

    def source(self, census: Path, kind: str) -> Place:
        """A census, read from a store of some kind (see `kind_name`)."""
        if kind == "local":
            return Place(name=kind_name(kind), uri=str(census), folder=census)
        port, counts_file = self._server(kind)
        link = self._buckets() / CENSUS_BUCKET / census.name
        return Place(
            name=kind_name(kind),
            uri=f"s3://{CENSUS_BUCKET}/{census.name}",
            port=port,
            counts_file=counts_file,
            folder=link,
        )

    @contextlib.contextmanager
    def destination(self, kind: str) -> Iterator[Place]:
        """A fresh, empty destination, removed afterwards."""
        name = uuid.uuid4().hex[:12]
        if kind == "local":
            folder = self.work / "output" / name
            place = Place(name=kind_name(kind), uri=str(folder), folder=folder)
        else:
            port, counts_file = self._server(kind)
            folder = self._buckets() / OUTPUT_BUCKET / name
            uri = f"s3://{OUTPUT_BUCKET}/{name}"
            place = Place(name=kind_name(kind), uri=uri, port=port, counts_file=counts_file, folder=folder)
        try:
            yield place
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def environment(self, kind: str) -> dict[str, str]:
        """The variables by which a program reaches the buckets in a store of some kind, S3 with or without latency."""
        port, _ = self._server(kind)
        return {**_S3_ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}

    def add_census(self, census: Path) -> None:
        """Makes a census known to the S3 servers; before the first of them starts."""
        folder = self._buckets() / CENSUS_BUCKET / census.name
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not folder.exists():
            # Hard links: the server serves the same bytes, and nothing is copied.
            shutil.copytree(census, folder, copy_function=_link_or_copy)

    def _buckets(self) -> Path:
        folder = self.work / "s3"
        (folder / CENSUS_BUCKET).mkdir(parents=True, exist_ok=True)
        (folder / OUTPUT_BUCKET).mkdir(exist_ok=True)
        return folder

    def _server(self, kind: str) -> tuple[int, Path]:
        """Port and counts of a server; started when it is first asked for."""
        if kind not in self._servers:
            if kind == "s3":
                arguments = ["cxg_assets_tests.servers.s3_server", "--root", str(self._buckets())]
            else:
                upstream, _ = self._server("s3")
                latency = kind.removeprefix("s3+")
                arguments = [
                    "cxg_assets_tests.servers.latency_proxy",
                    "--upstream-port",
                    str(upstream),
                    "--latency-ms",
                    latency,
                ]
            self._servers[kind] = self._start(kind, arguments)
        return self._servers[kind]

    def _start(self, kind: str, arguments: list[str]) -> tuple[int, Path]:
        port_file, counts_file = self.work / f"{kind}.port", self.work / f"{kind}.counts.json"
        port_file.unlink(missing_ok=True)
        counts_file.unlink(missing_ok=True)
        with (self.work / f"{kind}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments, "--port-file", port_file, "--counts-file", counts_file],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self._processes.append(process)
        deadline = time.monotonic() + START_SECONDS
        while not port_file.exists() or not port_file.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the {kind} server did not start; see {self.work / f'{kind}.log'}")
            time.sleep(0.05)
        return int(port_file.read_text()), counts_file


def kind_name(kind: str) -> str:
    """`local`, `s3` or `s3+30` (milliseconds a request), for people."""
    if kind == "local":
        return "local"
    return "S3" if kind == "s3" else f"S3 + {kind.removeprefix('s3+')} ms"


def difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Requests between two looks at the counts."""
    return {name: n - before.get(name, 0) for name, n in after.items() if n > before.get(name, 0)}


def _link_or_copy(source: str, target: str) -> None:
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
