"""The Census as a Dagster resource."""

import json
from dataclasses import asdict

import dagster as dg
from pydantic import Field

from cxg_assets import settings
from cxg_assets.ingest.census import CensusLocator
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.release import Release, read_release


class CensusResource(dg.ConfigurableResource):
    """Which Census to read: a SOMA URI, a release of the public Census, or the demo census."""

    uri: str = Field(default="", description="SOMA URI of a Census. Empty: CXG_CENSUS_URI.")
    version: str = Field(
        default="",
        description="Release of the public Census: stable, latest or a build date. Empty: CXG_CENSUS_VERSION. "
        "Used when there is no URI; without either, the demo census.",
    )
    tiledb_config: dict[str, str] = Field(
        default={}, description="TileDB settings for the URI, e.g. vfs.s3.endpoint_override for another S3 endpoint."
    )

    def release(self) -> Release:
        """Finds out which build of the Census is meant, and reads what it says of itself.

        Raises:
            BadInput: There is no such release, or no Census at the URI.
        """
        uri = self.uri or ("" if self.version else settings.census_uri())
        version = self.version or settings.census_version()
        if uri:
            return read_release(uri, uri, None, self.tiledb_config)
        if version:
            uri, region = _look_up(version)
            return read_release(version, uri, region, self.tiledb_config)
        return read_release("demo", _demo_census(), None, self.tiledb_config)

    def locator(self, release: Release) -> CensusLocator:
        """Where a release is, pinned to the time it was read."""
        return release.locator(self.tiledb_config)

    def pinned(self, release: Release) -> "CensusResource":
        """The same Census with this release of it: the steps of one command need not look again, and see the same."""
        known = json.dumps(asdict(release))
        return _PinnedCensus(uri=self.uri, version=self.version, tiledb_config=self.tiledb_config, known=known)


class _PinnedCensus(CensusResource):
    """A Census whose release was read before."""

    known: str = Field(description="The release as JSON.")

    def release(self) -> Release:
        """The release that was read before."""
        return Release(**json.loads(self.known))


def _look_up(version: str) -> tuple[str, str | None]:
    """URI and region of a public release."""
    import cellxgene_census

    try:
        description = cellxgene_census.get_census_version_description(version)
    except ValueError as error:
        raise BadInput(f"census_version: {error}") from error
    except OSError as error:
        raise BadInput(f"census_version: the release directory of the Census cannot be read: {error}") from error
    if (description.get("flags") or {}).get("retracted"):
        reason = (description.get("retraction") or {}).get("reason", "no reason is given")
        raise BadInput(f"census_version: release {version} was retracted: {reason}; choose another release")
    return description["soma"]["uri"], description["soma"].get("s3_region")


def _demo_census() -> str:
    from cxg_assets.demo import build_census

    path = settings.demo_census_path()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        build_census(path)
    return str(path)
