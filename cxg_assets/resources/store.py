"""Where chunks go, as a Dagster resource."""

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field

from cxg_assets import settings
from cxg_assets.ingest.store import StoreLocator


class StoreResource(dg.ConfigurableResource):
    """The default store, and how S3 is reached for every destination.

    `s3` has endpoint, region, profile and keys; what it does not set comes from the `AWS_*` variables.
    """

    s3: dg.ResourceDependency[S3Resource]
    url: str = Field(
        default="", description="s3://bucket/prefix or file:///folder of the default store. Empty: CXG_STORE_URL."
    )

    def locator(self, destination: str = "") -> StoreLocator:
        """A store, ready to be opened anywhere.

        Args:
            destination: URL of a subset's own destination; empty for the default store.

        Raises:
            BadInput: The URL is not one of an S3 prefix or a folder.
        """
        url = destination or self.url or settings.default_store_url()
        return StoreLocator(url=url, s3_options=self._s3_options())

    def _s3_options(self) -> tuple[tuple[str, str], ...]:
        """The S3 settings under obstore's names."""
        options: dict[str, str | None] = {
            "endpoint": self.s3.endpoint_url,
            "region": self.s3.region_name,
            "access_key_id": self.s3.aws_access_key_id,
            "secret_access_key": self.s3.aws_secret_access_key,
            "session_token": self.s3.aws_session_token,
            "skip_signature": "true" if self.s3.use_unsigned_session else None,
        }
        if self.s3.profile_name is not None:
            options |= _profile_credentials(self.s3.profile_name)
        return tuple((name, value) for name, value in options.items() if value is not None)


def _profile_credentials(profile: str) -> dict[str, str | None]:
    """Keys of an AWS profile; obstore reads the variables, not the profile files."""
    import boto3

    credentials = boto3.Session(profile_name=profile).get_credentials()
    if credentials is None:
        return {}
    frozen = credentials.get_frozen_credentials()
    return {
        "access_key_id": frozen.access_key,
        "secret_access_key": frozen.secret_key,
        "session_token": frozen.token,
    }
