"""Large objects go to S3, and come from there, in parts."""

from pathlib import Path
from typing import Any

MULTIPART_BYTES = 64 * 2**20
"""Above this an object is stored in parts, so that a lost connection costs one part and not the whole."""

PART_BYTES = 16 * 2**20
"""S3 allows 10,000 parts of an object: 160 GiB. Four are under way at once."""


def put_object(store: Any, patient: Any, path: str, data: bytes | Path, attributes: dict[str, str] | None) -> None:
    """Stores an object, whatever was there; in parts if it is large.

    Args:
        store: The obstore store.
        patient: The one for what is sent in parts: it repeats a part that was cut.
        path: Where it goes.
        data: The object, or a file.
        attributes: Its metadata.
    """
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
    """Gets an object into a file.

    Args:
        patient: The obstore store for what is got in parts: it goes on where a part was cut.
        path: The object.
        file: Written.
    """
    with file.open("wb") as sink:
        for part in patient.get(path).stream(min_chunk_size=PART_BYTES):
            sink.write(part)
