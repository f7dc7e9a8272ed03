"""An S3 server that is as strict as Amazon's where moto is not: keys, signatures, regions, permissions, checksums.

moto keeps the objects; in front of it each request is checked and written down. A process of its own. For virtual
addressing (`bucket.s3.….amazonaws.com`) a client is given the server as its HTTP proxy: there is no DNS here.
"""

import contextlib
import json
import os
import pickle
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from cxg_assets.ingest.storage.retry import Patience
from cxg_assets.ingest.storage.s3 import S3Settings
from cxg_assets.ingest.storage.store import StoreLocator

BUCKET = "lab"
REGION = "us-east-1"
ONCE = Patience(limit_seconds=0.0)
"""Repeats nothing."""
QUICKLY = Patience(first_seconds=0.001, longest_seconds=0.002)
"""Repeats at once."""
LIST, GET, PUT, DELETE = "s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"


@dataclass(frozen=True, kw_only=True)
class Key:
    """An access key that the server knows, and which actions it is denied."""

    id: str = "AKIDOFTHETESTS000001"
    secret: str = field(default="secret-of-the-tests", repr=False)
    token: str | None = None
    expired: bool = False
    denied: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An answer that is given instead of the right one to the first requests of a kind.

    Attributes:
        status: HTTP status.
        code: As S3 calls it; empty for a page of HTML, as a proxy or balancer would answer.
        methods: Of these requests only; empty for all.
        query: Only requests that have this in their query.
        times: To so many; after that all goes well.
        done: It is done all the same, only the answer is this one.
        message: What S3 says of it.
    """

    status: int
    code: str
    methods: tuple[str, ...] = ()
    query: str = ""
    times: int = 1_000_000
    done: bool = False
    message: str = "Told so by the test"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How the server behaves.

    Attributes:
        keys: Those it knows.
        region: Of its buckets.
        public: Anybody may list and read.
        conditions: What it does with `If-None-Match` of a PUT.
        checksums: What it does with `x-amz-checksum-*`, in all requests or in those that write.
        damaged_puts: Of so many PUTs a byte is changed on the way.
        clock_seconds: How far its clock is ahead.
        failures: Requests that fail whatever else holds.
    """

    keys: tuple[Key, ...] = (Key(),)
    region: str = REGION
    public: bool = False
    conditions: Literal["known", "ignored", "refused"] = "known"
    checksums: Literal["known", "refused", "refused_in_puts"] = "known"
    damaged_puts: int = 0
    clock_seconds: int = 0
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that the server got; `scope` is that of its credentials, empty without; `code` that of its refusal."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    scope: str
    status: int
    code: str


@dataclass(frozen=True)
class StrictS3:
    """A server that runs, with one empty bucket.

    Attributes:
        endpoint: Its host and port.
        folder: Where rules and requests are written.
    """

    endpoint: str
    folder: Path

    def obey(self, rules: Rules) -> None:
        """Sets how it behaves from now on, and forgets what it was asked."""
        (self.folder / "requests").write_text("")
        new = self.folder / "rules.new"
        new.write_bytes(pickle.dumps((uuid.uuid4(), rules)))
        new.replace(self.folder / "rules")

    def requests(self, *methods: str) -> list[Asked]:
        """What it was asked since then, in order; only with these methods, if any are given."""
        *lines, _being_written = (self.folder / "requests").read_text().split("\n")
        found = [Asked(**json.loads(line)) for line in lines]
        return [asked for asked in found if not methods or asked.method in methods]

    def settings(self, key: Key | None = Key(), **changes: Any) -> S3Settings:
        """How it is reached with a key."""
        known: dict[str, Any] = {"endpoint_url": f"http://{self.endpoint}", "region": REGION}
        if key is not None:
            known |= {"access_key_id": key.id, "secret_access_key": key.secret, "session_token": key.token}
        return S3Settings(**known | changes)

    def use(self, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
        """Makes a prefix the default store, by the environment."""
        key = Key()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{self.endpoint}")
        monkeypatch.setenv("AWS_REGION", REGION)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key.id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key.secret)
        monkeypatch.setenv("CXG_STORE_URL", f"s3://{BUCKET}/{prefix}")

    def locator(self, settings: S3Settings | None = None, *, bucket: str = BUCKET, **changes: Any) -> StoreLocator:
        """A store below a new prefix."""
        url = f"s3://{bucket}/{uuid.uuid4().hex}"
        return StoreLocator(url=url, s3=settings or self.settings(), **changes)


def forget_aws(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Takes away what the environment says of AWS and of proxies; the profile files are in the folder."""
    for name in os.environ:
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")  # obstore does not know the other


@contextlib.contextmanager
def serve_strict_s3(folder: Path) -> Iterator[StrictS3]:
    """Runs a server; the folder is for its rules and for what it was asked."""
    command = [sys.executable, "-m", "cxg_assets_tests.servers.strict_s3_server", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            served = StrictS3(f"127.0.0.1:{int(process.stdout.readline())}", folder)
            served.obey(Rules())
            yield served
        finally:
            process.kill()  # where SIGINT is ignored Dagster makes its process, and what it starts, ignore SIGTERM too
