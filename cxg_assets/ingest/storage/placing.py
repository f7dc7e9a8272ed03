"""How a chunk is put at its place: as one object, or as a folder of objects of which the marker is stored last."""

import hashlib
import threading
from collections.abc import Mapping
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from typing import Protocol

from cxg_assets.ingest.storage.s3_store import n_requests
from cxg_assets.ingest.storage.store import Store, Stored

IN_FLIGHT_BYTES = 64 * 2**20
"""No further object of a chunk is begun while those under way have as many; a single one may have more."""


def checksum(data: bytes) -> str:
    """SHA-256 (hex) of an object."""
    return hashlib.sha256(data).hexdigest()


def folder_checksum(checksums: Mapping[str, str]) -> str:
    """What stands for the SHA-256 (hex) of a folder: the digest of names and SHA-256 of its objects, sorted by name."""
    return checksum("".join(f"{name} {checksums[name]}\n" for name in sorted(checksums)).encode())


def other_checksum(uri: str, sha256: str, expected: str) -> str:
    """How an object's SHA-256 (hex) differs from the recorded one, in words; empty when it does not."""
    return "" if sha256 == expected else f"{uri} has SHA-256 {sha256[:12]}…, {expected[:12]}… was recorded"


@dataclass(frozen=True)
class Measure:
    """Bytes of all objects of a chunk, and what stands for their SHA-256 (hex)."""

    n_bytes: int
    sha256: str


class Place(Protocol):
    """Where a chunk is being put."""

    def store(self, last: bytes) -> Stored:
        """Stores the last object, when all others are there."""
        ...

    def measure(self, last: bytes) -> Measure:
        """Size and checksum of the whole."""
        ...

    def n_requests(self, last: bytes) -> int:
        """Requests that store the whole, if none is repeated."""
        ...


@dataclass(frozen=True)
class FilePlace:
    """The place of a chunk that is one object.

    Attributes:
        destination: The store.
        path: The object.
        fingerprint: Of the chunk.
        replace: What lies there is damaged.
    """

    destination: Store
    path: str
    fingerprint: str
    replace: bool

    def store(self, last: bytes) -> Stored:
        """Stores the object, unless there is one."""
        return self.destination.put_chunk(self.path, last, self.fingerprint, replace=self.replace)

    def measure(self, last: bytes) -> Measure:
        """Of the object."""
        return Measure(len(last), checksum(last))

    def n_requests(self, last: bytes) -> int:
        """Of the object."""
        return n_requests(len(last))


class FolderPlace:
    """The place of a chunk that is a folder of objects, which are stored while the chunk is still being made.

    What a killed writer has left there is overwritten: without its marker it is no chunk. Where another run has stored
    the marker meanwhile, the chunk is left as it is.
    """

    def __init__(
        self, store: Store, path: str, marker: str, fingerprint: str, *, replace: bool, threads: Executor
    ) -> None:
        """Nothing is stored yet. `threads` store the objects; with `replace` what lies there is damaged."""
        self._store, self._path, self._marker, self._fingerprint = store, path, marker, fingerprint
        self._replace, self._threads = replace, threads
        self._puts: list[Future[int]] = []
        self._under_way: dict[Future[int], int] = {}
        self._told: dict[str, tuple[int, str]] = {}
        self._found_one = threading.Event()

    def add(self, name: str, data: bytes) -> None:
        """Begins to store an object; waits while much is under way. What goes wrong is told by `store`."""
        self._told[name] = (len(data), checksum(data))
        while self._under_way and sum(self._under_way.values()) + len(data) > IN_FLIGHT_BYTES:
            done, _ = wait(self._under_way, return_when="FIRST_COMPLETED")
            self._under_way = {put: n for put, n in self._under_way.items() if put not in done}
        put = self._threads.submit(self._put, name, data)
        self._puts.append(put)
        self._under_way[put] = len(data)

    def store(self, last: bytes) -> Stored:
        """Stores the marker when all other objects are there; removes first what does not belong to them."""
        wait(self._puts)
        retries = sum(put.result() for put in self._puts)
        marker = f"{self._path}/{self._marker}"
        if self._found_one.is_set():
            own = {marker, *(f"{self._path}/{name}" for name in self._told)}
            for path in self._store.sizes(self._path).keys() - own:
                self._store.delete(path)
        stored = self._store.put_chunk(marker, last, self._fingerprint, replace=self._replace)
        return Stored(stored.created, stored.retries + retries)

    def measure(self, last: bytes) -> Measure:
        """Of all objects."""
        told = {**self._told, self._marker: (len(last), checksum(last))}
        checksums = {name: sha256 for name, (_, sha256) in told.items()}
        return Measure(sum(n_bytes for n_bytes, _ in told.values()), folder_checksum(checksums))

    def n_requests(self, last: bytes) -> int:
        """Of all objects."""
        return n_requests(len(last)) + sum(n_requests(n_bytes) for n_bytes, _ in self._told.values())

    def _put(self, name: str, data: bytes) -> int:
        """Stores an object; returns how often a request was repeated."""
        path = f"{self._path}/{name}"
        stored = self._store.put_chunk(path, data, self._fingerprint)
        if stored.created or (not self._replace and self._store.exists(f"{self._path}/{self._marker}")):
            return stored.retries
        self._found_one.set()
        return stored.retries + self._store.put_chunk(path, data, self._fingerprint, replace=True).retries
