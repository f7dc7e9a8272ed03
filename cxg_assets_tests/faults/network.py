"""A Census and a bucket on S3 servers, each behind a proxy that can be told to misbehave."""

import contextlib
import io
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata
import boto3

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import Release, read_release
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.chunks.worker import IngestJob
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.selection.index import make_index
from cxg_assets.ingest.selection.subset import make_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets_tests.servers.counted_s3 import serve_census, tiledb_settings
from cxg_assets_tests.servers.faults import FaultyProxy
from cxg_assets_tests.servers.strict_s3 import BUCKET, Key, StrictS3, serve_strict_s3


@dataclass(frozen=True, kw_only=True)
class Network:
    """Both servers; clients see the proxies only.

    Attributes:
        source: In front of the Census.
        destination: In front of the bucket.
        release: The Census, as it was read without faults.
        tiledb_config: How TileDB reaches it.
        server: The bucket's server.
        index_store: Where the Census's index is kept.
    """

    source: FaultyProxy
    destination: FaultyProxy
    release: Release
    tiledb_config: Mapping[str, str]
    server: StrictS3
    index_store: Store

    @property
    def census(self) -> CensusLocator:
        return self.release.locator(self.tiledb_config)

    def locator(self) -> StoreLocator:
        """A store below a new prefix of the bucket."""
        settings = self.server.settings(endpoint_url=f"http://127.0.0.1:{self.destination.port}")
        return StoreLocator(url=f"s3://{BUCKET}/{uuid.uuid4().hex}", s3=settings)

    def plan(self, spec: SubsetSpec) -> "Planned":
        """Subset and plan of a new store; no chunk is made."""
        locator = self.locator()
        store = locator.open()
        index = make_index(self.census, self.release, spec.organism, self.index_store)
        plan = store_plan(spec, make_subset(spec, index, self.index_store, self.census, store), store)
        job = IngestJob(census=self.census, store=locator, header=plan.header)
        planned = Planned(job=job, plan=plan, server=self.server, before=tuple(objects(self.server, locator)))
        self.source.forget()
        self.destination.forget()
        return planned


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A plan in the bucket.

    Attributes:
        job: What a worker needs to make its chunks.
        plan: The plan.
        server: The bucket's server.
        before: Keys of the objects that lay there before any chunk was made.
    """

    job: IngestJob
    plan: ChunkPlan
    server: StrictS3
    before: tuple[str, ...]

    def chunks(self) -> dict[str, bytes]:
        """Everything that lies there now but did not before, by path in the store."""
        found = objects(self.server, self.job.store)
        return {path: data for path, data in found.items() if path not in self.before}

    def assert_complete(self, reports: Sequence[ChunkReport], undisturbed: Mapping[str, bytes]) -> None:
        """Each chunk was made once, with the bytes it has without faults; nothing else was left in the bucket."""
        assert sorted(report.chunk for report in reports) == [chunk.key for chunk in self.plan.chunks]
        assert self.chunks() == undisturbed
        assert {report.chunk: report.n_bytes for report in reports} == {
            chunk.key: len(undisturbed[self.plan.path(chunk)]) for chunk in self.plan.chunks
        }
        assert self.unfinished() == []

    def unfinished(self) -> list[Any]:
        """Uploads in parts that were begun in the bucket and not ended."""
        return client(self.server).list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])


def client(server: StrictS3) -> Any:
    """boto3's client of the server, past the proxy."""
    key = Key()
    session = boto3.Session(key.id, key.secret, region_name=server.settings().region)
    return session.client("s3", endpoint_url=f"http://{server.endpoint}")


def objects(server: StrictS3, locator: StoreLocator) -> dict[str, bytes]:
    """All objects of a store, by path."""
    s3 = client(server)
    prefix = locator.url.removeprefix(f"s3://{BUCKET}/") + "/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return {key.removeprefix(prefix): s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def joinids(chunks: Mapping[str, bytes]) -> list[int]:
    """soma_joinids of the cells of some chunk files."""
    return [int(name) for data in chunks.values() for name in anndata.read_h5ad(io.BytesIO(data)).obs_names]  # type: ignore[arg-type]


@contextlib.contextmanager
def run_network(census: Path, folder: Path) -> Iterator[Network]:
    """Runs both servers and both proxies; the folder is for what they write."""
    for name in ("census", "bucket", "index"):
        (folder / name).mkdir()
    with (
        serve_census(census, folder / "census") as served,
        serve_strict_s3(folder / "bucket") as server,
        FaultyProxy(_port(served.tiledb_config["vfs.s3.endpoint_override"])) as source,
        FaultyProxy(_port(server.endpoint)) as destination,
    ):
        config = served.tiledb_config | tiledb_settings(f"127.0.0.1:{source.port}")
        yield Network(
            source=source,
            destination=destination,
            release=read_release("demo", served.uri, None, config),
            tiledb_config=config,
            server=server,
            index_store=StoreLocator(url=(folder / "index").as_uri()).open(),
        )


def _port(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])
