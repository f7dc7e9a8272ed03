"""The public Census on this machine: the directory of its releases, and a bucket that anybody may read.

Clients run unmodified, with their own URLs: see `PublicCensus.environment` and `PublicCensus.tiledb_config`.
"""

import contextlib
import copy
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiledbsoma as soma

from cxg_assets_tests.servers.counted_s3 import run_server, tiledb_settings, upload
from cxg_assets_tests.servers.release_directory import Asked, ReleaseDirectory, serve_directory

BUCKET = "cellxgene-census-public-us-west-2"
REGION = "us-west-2"
MIRROR = "AWS-S3-us-west-2"
CENSUS = "cell-census/2025-11-08/soma"
"""Where the Census is in the bucket; all releases lead to it."""

EMBEDDINGS_BUCKET = "cellxgene-contrib-public"
EMBEDDINGS = "contrib/cell-census/soma"
EMBEDDINGS_BUILD = "2025-11-08"
"""The build that embeddings are hosted for."""

MIRRORS: dict[str, Any] = {
    "default": MIRROR,
    MIRROR: {"provider": "S3", "base_uri": f"s3://{BUCKET}/", "region": REGION},
}


def _describe(build: str, **more: Any) -> dict[str, Any]:
    """A release as the directory has it (source: the types in `_release_directory.py` of cellxgene_census 1.18)."""
    h5ads = f"cell-census/{build}/h5ads"
    return {
        "release_date": build,
        "release_build": build,
        "soma": {"uri": f"s3://{BUCKET}/{CENSUS}/", "relative_uri": f"/{CENSUS}/", "s3_region": REGION},
        "h5ads": {"uri": f"s3://{BUCKET}/{h5ads}/", "relative_uri": f"/{h5ads}/", "s3_region": REGION},
        **more,
    }


RETRACTED = "2024-05-20"
RETRACTION = {
    "date": "2024-06-03",
    "reason": "wrong gene lengths",
    "info_url": "https://example.org/errata/2024-05-20",
    "replaced_by": "2025-11-08",
}
RELEASES: dict[str, Any] = {
    "stable": "V5",
    "latest": "2025-11-17",
    "V5": "2025-11-08",
    "V4": "2025-01-30",  # leads nowhere
    "V3": RETRACTED,
    "2025-11-17": _describe("2025-11-17", flags={"lts": False, "retracted": False}),
    "2025-11-08": _describe("2025-11-08", flags={"lts": True}),
    RETRACTED: _describe(RETRACTED, flags={"lts": True, "retracted": True}, retraction=RETRACTION),
}


@dataclass(frozen=True, kw_only=True)
class PublicCensus:
    """The public Census.

    Attributes:
        environment: Environment variables of a client: proxy and certificate.
        endpoint_url: URL of the S3 server.
        tiledb_config: How TileDB reaches that.
        bucket: The bucket.
        uri: The Census in it.
        directory: The directory: what it serves and what it was asked.
        s3_log: Where the S3 server writes each request down, one a line.
    """

    environment: dict[str, str]
    endpoint_url: str
    tiledb_config: dict[str, str]
    bucket: str
    uri: str
    directory: ReleaseDirectory
    s3_log: Path

    @property
    def releases(self) -> dict[str, Any]:
        """`release.json`, to be changed at will."""
        return self.directory.files["release.json"]

    @property
    def mirrors(self) -> dict[str, Any]:
        """`mirrors.json`, to be changed at will."""
        return self.directory.files["mirrors.json"]

    @property
    def asked(self) -> list[Asked]:
        """Requests to the directory."""
        return self.directory.asked

    @property
    def refused(self) -> list[str]:
        """Whatever else somebody asked the proxy for."""
        return self.directory.refused

    def s3_requests(self) -> Counter[str]:
        """How often each request to S3 was made: method, place within the Census (of a list: its prefix), range."""
        return Counter(self.s3_log.read_text().splitlines())

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sets the environment of this process to that of a client."""
        for name, value in (self.environment | {"CXG_CENSUS_ENDPOINT_URL": self.endpoint_url}).items():
            monkeypatch.setenv(name, value)

    def reset(self) -> None:
        """Brings the directory's content back, and forgets all requests."""
        self.directory.files.update(copy.deepcopy({"release.json": RELEASES, "mirrors.json": MIRRORS}))
        self.directory.answers.clear()
        self.asked.clear()
        self.refused.clear()
        self.s3_log.write_text("")


@contextlib.contextmanager
def serve_public_census(census: Path, folder: Path) -> Iterator[PublicCensus]:
    """Serves a copy of a local Census as the public one.

    Args:
        census: The Census.
        folder: For the certificates and the log.
    """
    log = folder / "s3-requests.log"
    directory = ReleaseDirectory(files={})
    with run_server(log, BUCKET, CENSUS) as endpoint, serve_directory(directory, folder) as environment:
        upload(census, f"http://{endpoint}", BUCKET, CENSUS, acl="public-read")
        manifest = _host_embeddings(census, folder / "hosted")
        upload(folder / "hosted", f"http://{endpoint}", EMBEDDINGS_BUCKET, EMBEDDINGS, acl="public-read")
        public = PublicCensus(
            environment=environment,
            endpoint_url=f"http://{endpoint}",
            tiledb_config=tiledb_settings(endpoint),
            bucket=BUCKET,
            uri=f"s3://{BUCKET}/{CENSUS}/",
            directory=directory,
            s3_log=log,
        )
        directory.files["contributions.json"] = manifest
        public.reset()
        yield public


def _host_embeddings(census: Path, folder: Path) -> dict[str, Any]:
    """Copies the arrays of a demo census's embeddings as those of `EMBEDDINGS_BUILD`; gives the manifest."""
    manifest = json.loads((census / "embeddings" / "contributions.json").read_text())
    for name, about in manifest.items():
        [array] = (census / "embeddings" / "soma").glob(f"*/{name}")
        shutil.copytree(array, folder / EMBEDDINGS_BUILD / name)
        about["census_version"] = EMBEDDINGS_BUILD
        with soma.SparseNDArray.open(str(folder / EMBEDDINGS_BUILD / name), "w") as copy_of_it:
            copy_of_it.metadata["CxG_embedding_info"] = json.dumps(about)
    return manifest
