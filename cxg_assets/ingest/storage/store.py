"""Where files go: one API for a local folder and for S3, over obstore.

A put is atomic on both (S3 by its nature, a folder by naming the file when it is written), so an object that is listed
is whole.
"""

import contextlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from obstore import sign
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, S3Store

from cxg_assets.ingest.errors import BadInput, StoreError, Unreachable, shown
from cxg_assets.ingest.storage import s3_store
from cxg_assets.ingest.storage.local import Listed, create_file
from cxg_assets.ingest.storage.retry import Patience
from cxg_assets.ingest.storage.s3 import S3Settings
from cxg_assets.ingest.storage.s3_errors import explain, is_conflict, is_known, is_transient
from cxg_assets.ingest.storage.scratch import scratch_folder
from cxg_assets.ingest.storage.url import as_url, check_path, check_url

Result = TypeVar("Result")

FINGERPRINT_ATTRIBUTE = "cxg-fingerprint"
"""User metadata of a chunk in S3 (`x-amz-meta-…`); a folder has no user metadata."""

PATIENCE = Patience(limit_seconds=120.0)
"""For one request, whoever repeats it."""

MANY = 1_000
"""Retries of a request by obstore: time bounds them, not number. Its own ten may be over in two seconds (measured)."""

ENCRYPTIONS = ("", "AES256", "aws:kms")


@dataclass(frozen=True, kw_only=True)
class StoreLocator:
    """A store that can be opened anywhere: picklable, holds nothing open.

    Attributes:
        url: `s3://bucket/prefix` or `file:///folder`. May be given as the path of a folder; a relative one begins at
            the current folder.
        s3: How S3 is reached.
        encryption: Server-side encryption of objects: `AES256` or `aws:kms`; empty for the bucket's default.
        kms_key_id: The key of `aws:kms`; empty for the account's.
        storage_class: Storage class of chunks, like `INTELLIGENT_TIERING`; empty for `STANDARD`.
        conditional_create: The S3 can be told to store an object only where there is none.
        checksums: The S3 checks the SHA-256 of what it is sent.
        given: The `--destination` of the command, for its messages; empty where none overrides the YAML.
    """

    url: str
    s3: S3Settings = field(default_factory=S3Settings)
    encryption: str = ""
    kms_key_id: str = ""
    storage_class: str = ""
    conditional_create: bool = True
    checksums: bool = True
    given: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.encryption not in ENCRYPTIONS:
            raise BadInput(f"destination: encryption {shown(self.encryption)} is unknown; choose AES256 or aws:kms")
        if self.kms_key_id and self.encryption != "aws:kms":
            raise BadInput("destination: a KMS key is given, but the encryption is not aws:kms")
        object.__setattr__(self, "url", as_url(self.url))
        check_url(self.url)

    @property
    def folder(self) -> Path | None:
        """The folder; None for S3."""
        parts = urlsplit(self.url)
        return Path(unquote(parts.path)) if parts.scheme == "file" else None

    def completed(self) -> "StoreLocator":
        """The same with what the environment says of S3 (`S3Settings.completed`), for workers that have another."""
        return replace(self, s3=self.s3.completed()) if self.url.startswith("s3://") else self

    def open(self, patience: Patience = PATIENCE) -> "Store":
        """Opens the store. Nothing is read or written yet.

        Raises:
            BadInput: It is in S3 and there are no credentials, or not the profile that is asked for.
        """
        return Store(self, patience)


@dataclass(frozen=True)
class Stored:
    """What became of a chunk that was to be stored: whether there was none yet, and how often that was repeated."""

    created: bool
    retries: int


@dataclass(frozen=True)
class Version:
    """What tells an object from another that takes its place: its size, and its ETag (empty where a store has none)."""

    n_bytes: int
    etag: str


class Store:
    """An open store. Paths are relative to its URL and cannot leave it.

    Every method raises FileNotFoundError where there is no such object, and StoreError where the store refuses or loses
    a request: Unreachable if that may pass by itself.
    """

    def __init__(self, locator: StoreLocator, patience: Patience) -> None:
        """Use `StoreLocator.open`."""
        locator = locator.completed()
        self.url, self.given = locator.url.rstrip("/"), locator.given
        self.folder = locator.folder
        """The folder, for what is only in folders; None for S3."""
        self._locator = locator
        self._patience = patience
        self._store: Any = None
        self._patient: S3Store | None = None
        if self.folder is None:
            # We repeat a request ourselves: obstore does not tell how often it did, repeats no conditional create and
            # no list whose answer was cut. Only what is sent or got in parts is better left to it.
            self._store, self._patient = (self._s3_store(max_retries) for max_retries in (0, MANY))

    def uri(self, path: str) -> str:
        """The full URI of an object."""
        return f"{self.url}/{path}"

    def follow_up(self, command: str, subset_name: str, *options: str) -> str:
        """The command line about a subset that a message says to run next, as a shell takes it.

        Where a `--destination` overrode the YAML's, the next command has to be given it too.
        """
        destination = ["--destination", self.given] if self.given else []
        return shlex.join(["cxg-assets", command, subset_name, *options, *destination])

    def put_chunk(self, path: str, data: bytes, fingerprint: str, *, replace: bool = False) -> Stored:
        """Stores a chunk, unless there is one already: its name says what is in it.

        With `replace` it takes the place of a damaged one; a reader sees the one or the other, whole. In S3 the object
        carries its fingerprint as user metadata.
        """
        if (folder := self.folder) is not None:
            if replace:
                return Stored(created=True, retries=self.put(path, data))
            return Stored(*self._do("write", path, lambda: create_file(folder, path, data, self._open(create=True))))
        attributes = {FINGERPRINT_ATTRIBUTE: fingerprint}
        if self._locator.storage_class:
            attributes["Storage-Class"] = self._locator.storage_class
        if replace or len(data) > s3_store.MULTIPART_BYTES or not self._locator.conditional_create:
            # obstore knows no conditional create in parts.
            return Stored(created=True, retries=self.put(path, data, attributes))

        def create() -> bool:
            try:
                self._open().put(path, data, attributes=attributes, mode="create", use_multipart=False)
            except AlreadyExistsError as error:
                if is_conflict(error):
                    raise
                return False
            return True

        return Stored(*self._do("write", path, create))

    def put(self, path: str, data: bytes | memoryview | Path, attributes: dict[str, str] | None = None) -> int:
        """Stores bytes or a local file, whatever was there. Returns how often that was begun anew."""

        def put() -> None:
            store = self._open(create=True)
            s3_store.put_object(store, self._patient or store, path, data, attributes)

        return self._do("write", path, put)[1]

    def get(self, path: str) -> bytes:
        """Reads an object whole."""
        return self._do("read", path, lambda: self._open().get(path).bytes().to_bytes())[0]

    def get_range(self, path: str, start: int, stop: int | None) -> tuple[memoryview, Version]:
        """Reads bytes start … stop-1 of an object by one request; with a negative start so many of its last, or all.

        They are in memory once, as they came.
        """
        options: Any = {"range": (start, stop) if start >= 0 else {"suffix": -start}}

        def get() -> tuple[memoryview, Version]:
            found = self._open().get(path, options=options)
            return memoryview(found.bytes()), Version(found.meta["size"], found.meta["e_tag"] or "")

        return self._do("read", path, get)[0]

    def get_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Reads several parts of an object side by side, each from its first byte to before its last, as they came."""
        starts, ends = [start for start, _ in ranges], [stop for _, stop in ranges]
        found = self._do("read", path, lambda: self._open().get_ranges(path, starts=starts, ends=ends))[0]
        return [memoryview(part) for part in found]

    def exists(self, path: str) -> bool:
        """Whether there is such an object. Only the store's own "not found" means no."""
        try:
            self._do("look up", path, lambda: self._open().head(path))
        except FileNotFoundError:
            return False
        return True

    def sizes(self, prefix: str) -> dict[str, int]:
        """Sizes in bytes of all objects below a prefix, by path; one request for a thousand."""
        return {path: listed.n_bytes for path, listed in self.objects(prefix).items()}

    def objects(self, prefix: str) -> dict[str, Listed]:
        """All objects below a prefix, by path; one request for a thousand."""
        if self.folder is not None and not self.folder.exists():
            return {}
        pages = self._do("list", prefix, lambda: list(self._open().list(prefix)))[0]
        return {item["path"]: Listed(item["size"], item["last_modified"]) for page in pages for item in page}

    def delete(self, path: str) -> None:
        """Removes an object, and in a folder the folders that are empty then."""
        self._do("delete", path, lambda: self._open().delete(path))

    @contextlib.contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        """The object as a local file: itself in a folder, a temporary copy of an S3 object."""
        if self.folder is not None:
            # obstore also refuses a path that leaves the folder
            self._do("read", path, lambda: self._open().head(path))
            yield self.folder / path.lstrip("/")
            return
        with scratch_folder() as folder:
            file = folder / Path(path).name
            self._do("read", path, lambda: s3_store.download(self._patient, path, file))
            yield file

    def links(self, paths: Sequence[str], seconds: int) -> list[str]:
        """URLs that let anybody download objects without keys for so many seconds; for a folder the files' URIs.

        Whether the objects are there is not looked up.
        """
        for path in paths:
            check_path(path, self.url)
        if self.folder is not None:
            return [self.uri(path) for path in paths]
        if self._locator.s3.anonymous:
            parts = urlsplit(self.url)
            keys = (f"{parts.path}/{path}".lstrip("/") for path in paths)
            return [self._locator.s3.object_url(parts.netloc, key) for key in keys]
        return list(sign(self._store, "GET", list(paths), timedelta(seconds=seconds)))

    def below(self, folder: str) -> S3Store:
        """The obstore store of a folder of an S3 store, for libraries that read objects themselves."""
        check_path(folder, self.url)
        return self._s3_store(MANY, folder)

    def _s3_store(self, max_retries: int, folder: str = "") -> S3Store:
        locator = self._locator
        return s3_store.s3_store(
            self.uri(folder) if folder else self.url,
            locator.s3,
            self._patience,
            max_retries,
            checksum_algorithm="SHA256" if locator.checksums else None,
            server_side_encryption=locator.encryption,
            sse_kms_key_id=locator.kms_key_id,
        )

    def _open(self, *, create: bool = False) -> Any:
        """The obstore store; the one of a folder is made when it is first needed, the folder when it is written."""
        if self._store is None:
            assert self.folder is not None
            if not create and not self.folder.exists():
                raise FileNotFoundError(f"{self.url} is not there")
            self._store = LocalStore(self.folder, mkdir=True, automatic_cleanup=True)
        return self._store

    def _do(self, action: str, path: str, request: Callable[[], Result]) -> tuple[Result, int]:
        """What a request gave, and how often it was repeated; names action and object in every error."""
        check_path(path, self.url)
        try:
            return self._patience.call(request, is_transient)
        except (BaseError, OSError) as error:
            # A missing bucket is not a missing object.
            if isinstance(error, FileNotFoundError) and action != "write" and not is_known(error):
                raise FileNotFoundError(f"{self.uri(path)} is not there") from error
            kind = Unreachable if is_transient(error) else StoreError
            reason = self._locator.s3.redact(explain(error))
            # Without its cause: S3 repeats keys and tokens in some errors, and Dagster records causes.
            raise kind(f"cannot {action} {self.uri(path)}: {reason}") from None
