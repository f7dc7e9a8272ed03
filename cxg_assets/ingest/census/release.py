"""Which build of the Census: what is known of it, and the one name everything made from it carries."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.embeddings_place import usual_place
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.storage.s3 import S3Settings


@dataclass(frozen=True, kw_only=True)
class Release:
    """One build of the Census.

    Attributes:
        name: What was asked for: an alias, a build date, or the URI itself.
        build: Name of the build, which is its date, like `2025-11-08`.
        uri: SOMA URI of the build.
        region: AWS region of a public bucket, read without credentials; None for any other place.
        schema_version: `census_schema_version`.
        flags: What the release directory says of it, like `lts`.
        total_cell_count: Cells of all organisms; 0 where the build does not tell.
        unique_cell_count: Primary cells of all organisms; 0 where the build does not tell.
        fingerprint: SHA-256 (hex) over the URI and all of `census_info/summary`: another build, other fingerprint.
        timestamp_ms: When it was read; every later read is pinned to this time (milliseconds since 1970).
    """

    name: str
    build: str
    uri: str
    region: str | None
    schema_version: str
    fingerprint: str
    timestamp_ms: int
    # With defaults, for files that were written before these were kept.
    flags: tuple[str, ...] = ()
    total_cell_count: int = 0
    unique_cell_count: int = 0

    @property
    def version(self) -> str:
        """Build date and short fingerprint: what names folders and data versions."""
        return f"{self.build}-{self.fingerprint[:8]}"

    @property
    def provenance(self) -> dict[str, str]:
        """What every chunk's `uns` tells of it."""
        return {
            "census_build": self.build,
            "census_uri": self.uri,
            "census_region": self.region or "",
            "census_schema_version": self.schema_version,
            "census_flags": ", ".join(self.flags),
            "census_total_cell_count": str(self.total_cell_count),
            "census_unique_cell_count": str(self.unique_cell_count),
        }

    def locator(self, tiledb_config: Mapping[str, str]) -> CensusLocator:
        """Where this build is, pinned to the time it was read, with the TileDB settings of the place."""
        located = _locator(self.uri, self.region, tiledb_config, self.timestamp_ms)
        return replace(located, embeddings=usual_place(self.uri, self.region, self.build))

    def confirm(self, locator: CensusLocator) -> None:
        """Makes sure that it is still this build that lies at its URI, now; it is opened for that alone.

        Raises:
            BadInput: It is another build.
        """
        with replace(locator, timestamp_ms=None).open() as census:
            summary = census.summary()
        if _fingerprint(self.uri, summary) != self.fingerprint:
            raise BadInput(
                f"census {self.uri}: it is build {summary.get('census_build_date')} now, and was {self.build} when "
                "it was looked at: the Census was replaced. Observe census_release again, and make index, subset and "
                "plan anew (cxg-assets ingest does all of it)"
            )


def public_bucket_config(region: str | None) -> dict[str, str]:
    """TileDB's settings for a public bucket of a region; none without a region."""
    return {} if region is None else S3Settings(anonymous=True, region=region).tiledb_config()


def read_release(
    name: str,
    uri: str,
    region: str | None,
    tiledb_config: Mapping[str, str],
    *,
    build: str = "",
    flags: tuple[str, ...] = (),
) -> Release:
    """Opens a Census and reads which build it is.

    A local path may be relative; a region is that of a public bucket, None for any other place. What the release
    directory calls the build takes precedence over what the Census itself says.

    Raises:
        BadInput: There is no Census at the URI.
        CxgError: Its summary has no build date.
    """
    if "://" not in uri:
        uri = str(Path(uri).absolute())  # workers may run in another folder
    timestamp_ms = int(time.time() * 1000)
    with _locator(uri, region, tiledb_config, timestamp_ms).open() as census:
        summary = census.summary()
    missing = [label for label in ("census_build_date", "census_schema_version") if label not in summary]
    if missing:
        raise CxgError(f"census {uri}: census_info/summary has no {' and no '.join(missing)}")
    return Release(
        name=name,
        build=build or summary["census_build_date"],
        uri=uri,
        region=region,
        schema_version=summary["census_schema_version"],
        fingerprint=_fingerprint(uri, summary),
        timestamp_ms=timestamp_ms,
        flags=flags,
        total_cell_count=int(summary.get("total_cell_count", 0)),
        unique_cell_count=int(summary.get("unique_cell_count", 0)),
    )


def _locator(uri: str, region: str | None, tiledb_config: Mapping[str, str], timestamp_ms: int) -> CensusLocator:
    config = {**public_bucket_config(region), **tiledb_config}
    return CensusLocator(uri=uri, tiledb_config=tuple(config.items()), timestamp_ms=timestamp_ms)


def _fingerprint(uri: str, summary: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps([uri, sorted(summary.items())]).encode()).hexdigest()
