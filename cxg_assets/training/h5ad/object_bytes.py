"""Parts of the objects of a store, also in a process that was forked.

obstore's threads do not survive a fork: a request of the child would wait for ever. A child reads files by itself, and
S3 by boto3, which takes more CPU a request.
"""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from cxg_assets.ingest.errors import StoreError, Unreachable
from cxg_assets.ingest.storage.s3_errors import explain, is_transient
from cxg_assets.ingest.storage.store import PATIENCE, StoreLocator

Range = tuple[int, int]
"""First byte, and one past the last."""

LEAST_BYTES = 16 * 2**10
"""Of what describes a file so much is read at once: a node of an index has 2 kB, and others lie near."""

_forked = False


def _note_fork() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_note_fork)


@cache
def _open_store(locator: StoreLocator, process: int) -> Any:
    """One for all threads of a process."""
    return locator.open()


@cache
def _open_client(locator: StoreLocator, process: int) -> Any:
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    s3 = locator.s3
    config = Config(
        signature_version=UNSIGNED if s3.anonymous else None,
        s3={"addressing_style": "virtual" if s3.virtual_addressing else "path"},
        retries={"mode": "standard", "total_max_attempts": 10},
        max_pool_connections=32,
    )
    session = boto3.Session(profile_name=None if s3.access_key_id else s3.profile)
    return session.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        region_name=s3.region,
        aws_access_key_id=s3.access_key_id,
        aws_secret_access_key=s3.secret_access_key,
        aws_session_token=s3.session_token,
        verify=None if s3.verify else False,
        config=config,
    )


@dataclass(frozen=True)
class ObjectBytes:
    """One object of a store: picklable, and read by any thread.

    Attributes:
        locator: The store.
        path: The object, relative to its URL.
    """

    locator: StoreLocator
    path: str

    @property
    def uri(self) -> str:
        """The object's URI, for messages."""
        return f"{self.locator.url.rstrip('/')}/{self.path}"

    def read(self, start: int, stop: int) -> bytes:
        """Bytes start … stop-1; fewer where the object ends before.

        Raises:
            FileNotFoundError: There is no such object.
            StoreError: The store did not give it.
        """
        if (folder := self.locator.folder) is not None:
            return _read_file(str(folder / self.path), start, stop)
        if _forked:
            return self._read_forked(start, stop)
        data, _ = _open_store(self.locator, os.getpid()).get_range(self.path, start, stop)
        return bytes(data)

    def read_ranges(self, ranges: Sequence[Range]) -> list[memoryview]:
        """Several such parts as they came, in S3 side by side where this process was not forked."""
        if self.locator.folder is not None or _forked or not ranges:
            return [memoryview(self.read(start, stop)) for start, stop in ranges]
        store = _open_store(self.locator, os.getpid())
        return [store.get_range(self.path, *ranges[0])[0]] if len(ranges) == 1 else store.get_ranges(self.path, ranges)

    def _read_forked(self, start: int, stop: int) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError

        parts = urlsplit(self.locator.url)
        key = f"{unquote(parts.path).strip('/')}/{self.path}".lstrip("/")
        wanted = f"bytes={start}-{stop - 1}"

        def get() -> bytes:
            client = _open_client(self.locator, os.getpid())
            return client.get_object(Bucket=parts.netloc, Key=key, Range=wanted)["Body"].read()

        try:
            return PATIENCE.call(get, is_transient)[0]
        except (BotoCoreError, ClientError) as error:
            code = getattr(error, "response", {}).get("Error", {}).get("Code")
            if code in ("NoSuchKey", "404"):
                raise FileNotFoundError(f"{self.uri} is not there") from error
            kind = Unreachable if is_transient(error) or isinstance(error, BotoCoreError) else StoreError
            raise kind(f"cannot read {self.uri}: {self.locator.s3.redact(explain(error))}") from None


def _read_file(path: str, start: int, stop: int) -> bytes:
    file = os.open(path, os.O_RDONLY)
    try:
        return os.pread(file, stop - start, start)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    finally:
        os.close(file)


class KeptBytes:
    """Small parts of an object, kept once they were read. For one thread."""

    def __init__(self, source: ObjectBytes) -> None:
        """Reads nothing yet."""
        self.source = source
        self._parts: list[tuple[int, bytes]] = []

    @property
    def ranges(self) -> list[Range]:
        """What was read."""
        return [(start, start + len(data)) for start, data in self._parts]

    def get_ready(self, ranges: Sequence[Range]) -> None:
        """Reads ranges side by side, those that are not kept."""
        missing = [(start, stop) for start, stop in ranges if self._kept(start, stop) is None]
        found = self.source.read_ranges(missing) if missing else []
        self._parts += [(start, bytes(data)) for (start, _), data in zip(missing, found, strict=True)]

    def read(self, start: int, n_bytes: int) -> bytes:
        """Bytes from a place on; fewer where the object ends."""
        kept = self._kept(start, start + n_bytes)
        if kept is None:
            kept = self.source.read(start, start + max(n_bytes, LEAST_BYTES))
            self._parts.append((start, kept))
        return kept[:n_bytes]

    def _kept(self, start: int, stop: int) -> bytes | None:
        for first, data in self._parts:
            if first <= start and stop <= first + len(data):
                return data[start - first : stop - first]
        return None


class KeptFile(io.RawIOBase):
    """Such an object as a file for h5py."""

    def __init__(self, kept: KeptBytes, n_bytes: int) -> None:
        self._kept = kept
        self._n_bytes = n_bytes
        self._place = 0

    def readinto(self, buffer: Any) -> int:
        """Reads on."""
        wanted = max(min(len(buffer), self._n_bytes - self._place), 0)
        data = self._kept.read(self._place, wanted) if wanted else b""
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to another place."""
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._n_bytes}[whence]
        return self._place

    def tell(self) -> int:
        """The place."""
        return self._place

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True
