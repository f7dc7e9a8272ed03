"""Where files go: one API for a local folder and for S3, over obstore.

A put is atomic on both (S3 by its nature, the local store by writing aside and renaming), so an object that is listed
is whole.
"""

import contextlib
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from cxg_assets.ingest.errors import BadInput, StoreError

FINGERPRINT_ATTRIBUTE = "cxg-fingerprint"
"""User metadata of a chunk in S3 (`x-amz-meta-…`); a folder has no user metadata."""


@dataclass(frozen=True, kw_only=True)
class StoreLocator:
    """A store that can be opened anywhere: picklable, holds nothing open.

    Attributes:
        url: `s3://bucket/prefix` or `file:///folder`.
        s3_options: obstore's settings for S3 (endpoint, region, keys); what is not set comes from the `AWS_*`
            variables. Never shown in a repr.
    """

    url: str
    s3_options: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.query or parts.fragment:
            raise BadInput(f"destination: {self.url!r} has a ? or #, which URLs do not allow in names; choose another")
        if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
            return
        if parts.scheme == "s3" and parts.netloc:
            return
        raise BadInput(f"destination: {self.url!r} is not supported; give s3://bucket/prefix or file:///folder")

    def open(self) -> "Store":
        """Opens the store. Nothing is read or written yet."""
        return Store(self)


class Store:
    """An open store. Paths are relative to its URL and cannot leave it."""

    def __init__(self, locator: StoreLocator) -> None:
        self.url = locator.url.rstrip("/")
        parts = urlsplit(self.url)
        self._folder = Path(unquote(parts.path)) if parts.scheme == "file" else None
        self._store: Any = None
        if self._folder is None:
            options: dict[str, Any] = dict(locator.s3_options)
            self._store = S3Store(
                parts.netloc, prefix=parts.path.strip("/") or None, client_options={"allow_http": True}, **options
            )

    def uri(self, path: str) -> str:
        """The full URI of an object."""
        return f"{self.url}/{path}"

    def put_chunk(self, path: str, data: bytes, fingerprint: str) -> None:
        """Stores a chunk; in S3 the object carries its fingerprint as user metadata."""
        self._put(path, data, None if self._folder is not None else {FINGERPRINT_ATTRIBUTE: fingerprint})

    def put(self, path: str, data: bytes) -> None:
        """Stores a small object."""
        self._put(path, data, None)

    def put_file(self, path: str, file: Path) -> None:
        """Stores a local file."""
        self._put(path, file, None)

    def get(self, path: str) -> bytes:
        """Reads an object whole.

        Raises:
            FileNotFoundError: There is none.
            StoreError: The store did not give it.
        """
        with self._named("read", path):
            return self._open().get(path).bytes().to_bytes()

    def exists(self, path: str) -> bool:
        """Whether there is such an object. Only the store's own "not found" means no."""
        try:
            with self._named("look up", path):
                self._open().head(path)
        except FileNotFoundError:
            return False
        return True

    def sizes(self, prefix: str) -> dict[str, int]:
        """Sizes in bytes of all objects below a prefix, by path; one request for a thousand."""
        if self._folder is not None and not self._folder.exists():
            return {}
        with self._named("list", prefix):
            return {item["path"]: item["size"] for page in self._open().list(prefix) for item in page}

    def delete(self, path: str) -> None:
        """Removes an object."""
        with self._named("delete", path):
            self._open().delete(path)

    @contextlib.contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        """The object as a local file: itself in a folder, a temporary copy of an S3 object.

        Raises:
            FileNotFoundError: There is none.
            StoreError: The store did not give it.
        """
        if self._folder is not None:
            with self._named("read", path):
                self._open().head(path)  # obstore also refuses a path that leaves the folder
            yield self._folder / path.lstrip("/")
            return
        with tempfile.TemporaryDirectory(prefix="cxg-") as folder:
            file = Path(folder) / Path(path).name
            with self._named("read", path), file.open("wb") as sink:
                for part in self._open().get(path).stream(min_chunk_size=16 * 2**20):
                    sink.write(part)
            yield file

    def check_writable(self) -> None:
        """Proves that objects can be written here and leaves nothing behind.

        Raises:
            BadInput: They cannot; the message has the store's reason.
        """
        if self._folder is not None:
            _check_folder(self._folder)
            return
        probe = f".cxg-probe-{uuid.uuid4().hex}"
        try:
            self.put(probe, b"cxg_assets tests that it can write here")
            self.delete(probe)
        except StoreError as error:
            raise BadInput(f"destination: {self.url} cannot be written: {error}") from error

    def _put(self, path: str, data: bytes | Path, attributes: dict[str, str] | None) -> None:
        with self._named("write", path):
            self._open(create=True).put(path, data, attributes=attributes)

    def _open(self, *, create: bool = False) -> Any:
        """The obstore store; the one of a folder is made when it is first needed, the folder when it is written."""
        if self._store is None:
            assert self._folder is not None
            if not create and not self._folder.exists():
                raise FileNotFoundError(f"{self.url} is not there")
            self._store = LocalStore(self._folder, mkdir=True)
        return self._store

    @contextlib.contextmanager
    def _named(self, action: str, path: str) -> Iterator[None]:
        """Names the action and the object in every error of the store."""
        try:
            yield
        except (BaseError, OSError) as error:
            # A write that meets "not found" is told of a missing bucket, not of a missing object.
            if isinstance(error, FileNotFoundError) and action != "write":
                raise FileNotFoundError(f"{self.uri(path)} is not there") from error
            # obstore appends a debug dump of the request; its first line says what happened.
            raise StoreError(f"cannot {action} {self.uri(path)}: {str(error).strip().splitlines()[0]}") from error


def _check_folder(folder: Path) -> None:
    """Writes and removes a file; folders that had to be made for it are removed too."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    probe = folder / f".cxg-probe-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise BadInput(f"destination: {folder} cannot be written: {error.strerror}") from error
    finally:
        for parent in missing:
            with contextlib.suppress(OSError):
                parent.rmdir()
