"""obstore's store of an S3 destination, with our settings."""

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.store import S3Store

from cxg_assets.ingest.storage.retry import Patience

if TYPE_CHECKING:
    from cxg_assets.ingest.storage.store import StoreLocator

REQUEST_SECONDS = 120
"""A request that takes longer is cut and repeated: `multipart.MULTIPART_BYTES` at 0.6 MB/s. obstore's own 30 s are too
few for a chunk on a slow line."""


def s3_store(locator: "StoreLocator", patience: Patience, max_retries: int) -> S3Store:
    """Opens the store.

    Args:
        locator: The destination.
        patience: How long and with which waits obstore repeats a request.
        max_retries: How often.
    """
    parts = urlsplit(locator.url)
    options = locator.s3.obstore_options(parts.netloc)
    # To delete many objects at once takes checksums that not every S3 knows.
    options["disable_bulk_delete"] = True
    options["client_options"] |= {"timeout": timedelta(seconds=REQUEST_SECONDS)}
    options["retry_config"] = {
        "max_retries": max_retries,
        "retry_timeout": timedelta(seconds=patience.limit_seconds),
        "backoff": {
            "init_backoff": timedelta(seconds=patience.first_seconds),
            "max_backoff": timedelta(seconds=patience.longest_seconds),
        },
    }
    if locator.checksums:
        options["checksum_algorithm"] = "SHA256"
    if locator.encryption:
        options["server_side_encryption"] = locator.encryption
    if locator.kms_key_id:
        options["sse_kms_key_id"] = locator.kms_key_id
    return S3Store(parts.netloc, prefix=parts.path.strip("/") or None, **options)
