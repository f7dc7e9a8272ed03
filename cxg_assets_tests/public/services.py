"""What the tests of the public Census work with: its stand-in, an S3 of one's own, and machines that use both."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3

from cxg_assets_tests.cli.command import Outcome, cxg_assets
from cxg_assets_tests.cli.conftest import SUBSET
from cxg_assets_tests.servers.public_census import PublicCensus
from cxg_assets_tests.servers.strict_s3 import BUCKET, Asked, Key, StrictS3

N_CHUNKS, CHUNK_SIZE = 3, 20
N_OBS = N_CHUNKS * CHUNK_SIZE
OLD, NEW = "2025-11-08", "2025-11-17"
KEY = Key(id="AKIAOFTHEDESTINATION", secret="secret/of+the+destination", token="token/of+the+destination==")
FOREIGN = ("AWS_", "CXG_", "DAGSTER_", "RAY_")
INGEST = ("ingest", SUBSET, "-n", str(N_OBS), "-c", str(CHUNK_SIZE))


@dataclass(frozen=True, kw_only=True)
class Services:
    """The public Census, whose S3 refuses everybody who shows keys, and an S3 of one's own."""

    public: PublicCensus
    census_s3: StrictS3
    own_s3: StrictS3

    @cached_property
    def client(self) -> Any:
        session = boto3.Session(KEY.id, KEY.secret, KEY.token, region_name="us-east-1")
        return session.client("s3", endpoint_url=f"http://{self.own_s3.endpoint}")

    def environment(self, home: Path, prefix: str) -> dict[str, str]:
        """The variables of a user of both."""
        return self.public.environment | {
            "CXG_HOME": str(home),
            "CXG_POOL": "local",
            "CXG_CENSUS_ENDPOINT_URL": self.public.endpoint_url,
            "CXG_STORE_URL": f"s3://{BUCKET}/{prefix}",
            "AWS_ENDPOINT_URL": f"http://{self.own_s3.endpoint}",
            "AWS_ACCESS_KEY_ID": KEY.id,
            "AWS_SECRET_ACCESS_KEY": KEY.secret,
            "AWS_SESSION_TOKEN": str(KEY.token),
            "AWS_REGION": "us-east-1",
        }

    def objects(self, prefix: str) -> dict[str, bytes]:
        """What lies below a prefix of one's own bucket, by the path after it."""
        keys = [item["Key"] for item in self.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/")["Contents"]]
        return {key[len(prefix) + 1 :]: self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The first ingest: what it said, asked for and left behind. Nobody changes it."""

    home: Path
    prefix: str
    outcome: Outcome
    asked: list[Asked]
    asked_of_census: list[Asked]
    asked_of_directory: list[str]
    refused: set[str]
    objects: dict[str, bytes]

    @property
    def chunks(self) -> dict[str, bytes]:
        return {path: data for path, data in sorted(self.objects.items()) if path.endswith(".h5ad")}

    @property
    def plan_folder(self) -> str:
        return next(iter(self.chunks)).rpartition("/")[0]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """This process as a user's machine, and a destination that it alone changes."""

    services: Services
    home: Path
    prefix: str

    def ingest(self, version: str) -> Outcome:
        return cxg_assets(*INGEST, "--census-version", version)

    def objects(self) -> dict[str, bytes]:
        return self.services.objects(self.prefix)


def elsewhere() -> dict[str, str]:
    """This process's environment without what would lead a command out of its test."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FOREIGN) and not name.lower().endswith("_proxy")
    }
