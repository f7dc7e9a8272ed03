"""The Census as a Dagster resource."""

from dataclasses import replace

import dagster as dg
from pydantic import Field

from cxg_assets import settings
from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.cpu import require_cpu
from cxg_assets.ingest.census.release import Release, read_release
from cxg_assets.ingest.census.release_directory import ReleaseAddress, resolve_release
from cxg_assets.ingest.records import decode, encode
from cxg_assets.ingest.storage.s3 import S3Settings
from cxg_assets.ingest.storage.url import absolute_path

DEMO = "demo"
"""Name of the release that the demo census is."""


class CensusResource(dg.ConfigurableResource):
    """Which Census to read: a SOMA URI, a release of the public Census, or the demo census.

    The public Census is read without keys. A URI in S3 is reached as the `AWS_*` variables say; endpoint, region and
    profile of this resource take precedence.
    """

    uri: str | None = Field(default=None, description="SOMA URI of a Census. Empty: CXG_CENSUS_URI.")
    version: str | None = Field(
        default=None,
        description="Release of the public Census: stable, latest or a build date. Empty: CXG_CENSUS_VERSION. "
        "Used when there is no URI; without either, the demo census.",
    )
    mirror: str | None = Field(default=None, description="Mirror of the public Census. Empty: CXG_CENSUS_MIRROR.")
    endpoint_url: str | None = Field(
        default=None, description="S3 that the Census is in. Empty: CXG_CENSUS_ENDPOINT_URL."
    )
    region: str | None = Field(
        default=None, description="AWS region of a Census given by URI. Empty: CXG_CENSUS_REGION."
    )
    profile: str | None = Field(default=None, description="AWS profile to read it with. Empty: CXG_CENSUS_PROFILE.")
    tiledb_config: dict[str, str] | None = Field(
        default=None,
        description="More TileDB settings; they take precedence over all others. Keys as dg.EnvVar: the UI shows the "
        "rest.",
    )

    @property
    def asked_version(self) -> str:
        """The release name of the public Census that is asked for; empty when it is another Census."""
        return "" if self._asked_uri else self.version or settings.Variables().census_version

    @property
    def asked(self) -> str:
        """What is asked for, as `Release.name` has it: a release name, a URI, or `demo`."""
        return self._asked_uri or self.asked_version or DEMO

    def release(self) -> Release:
        """Finds out which build of the Census is meant, and reads what it says of itself.

        Raises:
            BadInput: There is no such release or mirror, it was retracted, or there is no Census at the URI.
            CxgError: The release directory cannot be read.
        """
        if self.asked_version:
            found = self.look_up()
            access = self._access(found.uri, found.region)
            return read_release(found.name, found.uri, found.region, access, build=found.build, flags=found.flags)
        uri = self._asked_uri or _demo_census()
        return read_release(self.asked, uri, None, self._access(uri, None))

    def look_up(self) -> ReleaseAddress:
        """Where `asked_version` is now, as the release directory says (`resolve_release`, also for what is raised)."""
        return resolve_release(self.asked_version, self.mirror or settings.Variables().census_mirror)

    def locator(self, release: Release) -> CensusLocator:
        """Where a release and its embeddings are, pinned to the time it was read."""
        located = release.locator(self._access(release.uri, release.region))
        if located.embeddings is None:
            return located
        variables = settings.Variables()
        asked = {"manifest": variables.census_embeddings_manifest, "arrays": variables.census_embeddings_uri}
        embeddings = replace(located.embeddings, **{name: value for name, value in asked.items() if value})
        return replace(located, embeddings=embeddings)

    def pinned(self, release: Release) -> "CensusResource":
        """The same Census with this release of it: the steps of one command need not look again, and see the same."""
        fields = {name: getattr(self, name) for name in CensusResource.model_fields}
        return _PinnedCensus(**fields, known=encode(release).decode())

    @property
    def is_demo(self) -> bool:
        """Whether nothing else is asked for than the demo census."""
        return not self.asked_version and not self._asked_uri

    @property
    def _asked_uri(self) -> str:
        if not self.uri or "://" in self.uri:
            return self.uri or ("" if self.version else settings.census_uri())
        return str(absolute_path(self.uri))

    def _access(self, uri: str, region: str | None) -> dict[str, str]:
        """TileDB's settings for a Census at a URI; with a region it is a public one."""
        given = self.tiledb_config or {}
        if not uri.startswith("s3://"):
            return dict(given)
        variables = settings.Variables()
        profile = self.profile or variables.census_profile or None
        known = S3Settings(
            endpoint_url=self.endpoint_url or variables.census_endpoint_url or None,
            region=region or self.region or variables.census_region or None,
            profile=profile,
            anonymous=region is not None and profile is None,
        )
        if region is None:
            # AWS_* variables tell of a lab's own S3; the public Census is not there.
            known = known.completed()
            if "vfs.s3.aws_access_key_id" not in given:
                known = known.or_anonymous()
        return known.tiledb_config() | given


class _PinnedCensus(CensusResource):
    """A Census whose release was read before."""

    known: str = Field(description="The release as JSON.")

    def release(self) -> Release:
        """The release that was read before."""
        return decode(Release, self.known.encode(), path="the pinned release", remedy="look at the Census again")


def _demo_census() -> str:
    require_cpu()
    from cxg_assets.demo import build_once

    path = settings.demo_census_path()
    build_once(path)
    return str(path)
