"""Where chunks go, as a Dagster resource."""

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field

from cxg_assets import settings
from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.storage.s3 import S3Settings
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.ingest.storage.url import as_url


class StoreResource(dg.ConfigurableResource):
    """The default store, and how S3 is reached for every destination.

    `s3` has endpoint, region, profile and keys; what it does not set comes from the `AWS_*` variables, the profile
    files and the machine's role. Give keys as `dg.EnvVar`: Dagster shows a resource's settings in the UI.
    """

    s3: dg.ResourceDependency[S3Resource]
    url: str | None = Field(
        default=None, description="s3://bucket/prefix or a folder: the default store. Empty: CXG_STORE_URL."
    )
    encryption: str | None = Field(
        default=None, description="Server-side encryption in S3: AES256 or aws:kms. Empty: CXG_STORE_ENCRYPTION."
    )
    kms_key_id: str | None = Field(default=None, description="The key of aws:kms. Empty: CXG_STORE_KMS_KEY_ID.")
    storage_class: str | None = Field(
        default=None, description="Storage class of chunks in S3. Empty: CXG_STORE_CLASS."
    )
    addressing: str | None = Field(
        default=None, description="How a bucket is addressed: path or virtual. Empty: CXG_STORE_ADDRESSING."
    )
    given: str | None = Field(
        default=None, description="The --destination that a command was given; its messages repeat it. Empty in the UI."
    )

    def locator(self, destination: str = "") -> StoreLocator:
        """A store, ready to be opened anywhere, also on machines that have none of this one's variables.

        Args:
            destination: URL or path of a subset's own; empty for the default store. Paths begin at the project.

        Raises:
            BadInput: The URL is not one of an S3 prefix or a folder; a setting has a value that it cannot have.
        """
        variables = settings.Variables()
        locator = StoreLocator(
            url=as_url(destination or self.url or "", settings.project()) or settings.default_store_url(),
            encryption=self.encryption or variables.store_encryption,
            kms_key_id=self.kms_key_id or variables.store_kms_key_id,
            storage_class=self.storage_class or variables.store_class,
            s3=self._s3_settings(self.addressing or variables.store_addressing or "path"),
            given=(self.given or "") if destination else "",
        )
        return locator.completed()

    def _s3_settings(self, addressing: str) -> S3Settings:
        if addressing not in ("path", "virtual"):
            raise BadInput(f"destination: addressing {shown(addressing)} is unknown; choose path or virtual")
        return S3Settings(
            endpoint_url=self.s3.endpoint_url,
            region=self.s3.region_name,
            profile=self.s3.profile_name,
            access_key_id=self.s3.aws_access_key_id,
            secret_access_key=self.s3.aws_secret_access_key,
            session_token=self.s3.aws_session_token,
            anonymous=self.s3.use_unsigned_session,
            verify=self.s3.verify is not False,
            virtual_addressing=addressing == "virtual",
        )
