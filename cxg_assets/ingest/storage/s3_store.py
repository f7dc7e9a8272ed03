"""obstore's store of an S3 destination with our settings, and large objects sent and got in parts."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from obstore.store import S3Store

from cxg_assets.ingest.storage.retry import Patience
from cxg_assets.ingest.storage.s3 import S3Settings

REQUEST_SECONDS = 120
"""A request that takes longer is cut and repeated: `MULTIPART_BYTES` at 0.6 MB/s. obstore's own 30 s are too few for a
chunk on a slow line."""

MULTIPART_BYTES = 64 * 2**20
"""Above this an object is stored in parts, so that a lost connection costs one part and not the whole."""

PART_BYTES = 16 * 2**20
"""S3 allows 10,000 parts of an object: 160 GiB. Four are under way at once."""


def s3_store(url: str, settings: S3Settings, patience: Patience, max_retries: int, **more: str | None) -> S3Store:
    """Opens the store of a destination; obstore itself repeats a request as often and as long as is said.

    Of `more` options of obstore those that are empty are left out.
    """
    parts = urlsplit(url)
    options = settings.obstore_options(parts.netloc)
    options |= {name: value for name, value in more.items() if value}
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
    return S3Store(parts.netloc, prefix=parts.path.strip("/") or None, **options)


def n_requests(n_bytes: int) -> int:
    """Requests that store an object of so many bytes, if none is repeated: one, or one for each part and two more."""
    return 1 if n_bytes <= MULTIPART_BYTES else 2 + -(-n_bytes // PART_BYTES)


def put_object(
    store: Any, patient: Any, path: str, data: bytes | memoryview | Path, attributes: dict[str, str] | None
) -> None:
    """Stores an object or a file, whatever was there; a large one in parts, by the store that repeats what was cut."""
    size = data.stat().st_size if isinstance(data, Path) else len(data)
    if size <= MULTIPART_BYTES:
        store.put(path, data, attributes=attributes, use_multipart=False)
        return
    try:
        patient.put(path, data, attributes=attributes, use_multipart=True, chunk_size=PART_BYTES, max_concurrency=4)
    except FileNotFoundError as error:
        # When the last answer is lost, obstore repeats the request or removes the parts, and finds no upload:
        # it is complete.
        if "Error performing DELETE" not in str(error) or store.head(path)["size"] != size:
            raise


def download(patient: Any, path: str, file: Path) -> None:
    """Gets an object into a file, from the store for what is got in parts: it goes on where a part was cut."""
    with file.open("wb") as sink:
        for part in patient.get(path).stream(min_chunk_size=PART_BYTES):
            sink.write(part)
