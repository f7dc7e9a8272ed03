"""How S3 is reached: one set of settings for both clients, obstore (chunks) and TileDB (the Census).

What is not set comes from where every AWS tool takes it: the `AWS_*` variables, the profile files, the machine's role.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from cxg_assets.ingest.errors import BadInput, shown

if TYPE_CHECKING:
    import boto3


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """How S3 is reached. Picklable; keys are in no repr.

    Attributes:
        endpoint_url: URL of another S3 than Amazon's; None is Amazon's of the region.
        region: AWS region.
        profile: Name of an AWS profile; takes precedence over keys in the environment.
        access_key_id: Key; with its secret, and a token where it is a temporary one.
        secret_access_key: Its secret.
        session_token: Its token.
        anonymous: Send no credentials: a public bucket.
        verify: Check TLS certificates.
        virtual_addressing: Address `bucket.host/key` instead of `host/bucket/key`.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    anonymous: bool = False
    verify: bool = True
    virtual_addressing: bool = False

    def __post_init__(self) -> None:
        if self.endpoint_url is not None and not self.endpoint_url.startswith(("http://", "https://")):
            raise BadInput(
                f"S3: the endpoint {shown(self.endpoint_url)} is not a URL; give http://host:port or https://host"
            )

    def completed(self) -> "S3Settings":
        """The same with endpoint, region and lasting keys filled in from the environment and the profile files.

        Called where a run starts, so that workers on other machines get what this one was told. Keys that expire are
        left out: each process asks for its own.

        Raises:
            BadInput: There is no such profile, or the endpoint is no URL.
        """
        endpoint = self.endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        session = self._session()
        region = self.region or os.environ.get("AWS_REGION") or session.region_name
        found = replace(self, endpoint_url=endpoint or None, region=region)
        if self.anonymous or self.access_key_id is not None:
            return found
        keys = session.get_credentials()
        if keys is None or keys.method not in ("env", "shared-credentials-file", "config-file"):
            return replace(found, profile=self.profile or os.environ.get("AWS_PROFILE"))
        key, secret, token, *_ = keys.get_frozen_credentials()
        return replace(found, access_key_id=key, secret_access_key=secret, session_token=token)

    def obstore_options(self, bucket: str) -> dict[str, Any]:
        """The keyword arguments of `obstore.store.S3Store` for a bucket.

        Raises:
            BadInput: There are no credentials.
        """
        client: dict[str, Any] = {"allow_http": True, "allow_invalid_certificates": not self.verify}
        options: dict[str, Any] = {"client_options": client, "virtual_hosted_style_request": self.virtual_addressing}
        if self.endpoint_url is not None:
            # With virtual addressing obstore expects the bucket to be part of the endpoint.
            options["endpoint"] = self._bucket_url(bucket) if self.virtual_addressing else self.endpoint_url
        if self.region is not None:
            options["region"] = self.region
        options["skip_signature"] = self.anonymous
        if not self.anonymous:
            # Also for keys that are known: obstore would take what is missing, a token, from the environment.
            options["credential_provider"] = self._credentials()
        return options

    def object_url(self, bucket: str, key: str) -> str:
        """The URL at which anybody can get an object of a public bucket."""
        if self.endpoint_url is None:
            base = f"https://{bucket}.s3.{self.region or 'us-east-1'}.amazonaws.com"
        else:
            base = self._bucket_url(bucket) if self.virtual_addressing else f"{self.endpoint_url.rstrip('/')}/{bucket}"
        return f"{base}/{quote(key)}"

    def or_anonymous(self) -> "S3Settings":
        """The same, but anonymous where there are no credentials: a public bucket can be read without."""
        known = self.anonymous or self.access_key_id is not None or self._session().get_credentials() is not None
        return self if known else replace(self, anonymous=True)

    def tiledb_config(self) -> dict[str, str]:
        """The same for TileDB, as `vfs.s3.*`.

        Keys of a profile that expire are those of this moment. Without a profile TileDB asks the machine's role itself
        and gets new ones in time.

        Raises:
            BadInput: The profile has no credentials.
        """
        config = {
            "use_virtual_addressing": str(self.endpoint_url is None or self.virtual_addressing).lower(),
            "verify_ssl": str(self.verify).lower(),
            "no_sign_request": str(self.anonymous).lower(),
        }
        if self.endpoint_url is not None:
            parts = urlsplit(self.endpoint_url)
            config |= {"scheme": parts.scheme, "endpoint_override": parts.netloc + parts.path.rstrip("/")}
        if self.region is not None:
            config["region"] = self.region
        if not self.anonymous and (self.access_key_id is not None or self.profile is not None):
            keys = self._credentials()()
            config |= {"aws_access_key_id": keys["access_key_id"], "aws_secret_access_key": keys["secret_access_key"]}
            if keys["token"] is not None:
                config["aws_session_token"] = keys["token"]
        return {f"vfs.s3.{name}": value for name, value in config.items()}

    def redact(self, text: str) -> str:
        """A text of a client without the keys; S3 repeats the key and the token in some errors."""
        for item in fields(self):
            value = getattr(self, item.name)
            if not item.repr and value:
                text = text.replace(value, "…")
        return text

    def _credentials(self) -> Callable[[], Any]:
        """Tells the keys each time it is called, as obstore wants it."""
        if (key := self.access_key_id) is not None:
            known = {"access_key_id": key, "secret_access_key": self.secret_access_key, "token": self.session_token}
            return lambda: {**known, "expires_at": None}
        from obstore.auth.boto3 import Boto3CredentialProvider

        try:
            return Boto3CredentialProvider(self._session())
        except ValueError as error:
            raise BadInput(
                "S3: there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, "
                "or give the machine a role"
            ) from error

    def _session(self) -> "boto3.Session":
        import boto3
        from botocore.exceptions import ProfileNotFound

        try:
            return boto3.Session(profile_name=self.profile)
        except ProfileNotFound as error:
            raise BadInput(f"S3: {error}; see ~/.aws/config, or unset AWS_PROFILE") from error

    def _bucket_url(self, bucket: str) -> str:
        assert self.endpoint_url is not None
        parts = urlsplit(self.endpoint_url)
        return f"{parts.scheme}://{bucket}.{parts.netloc}"
