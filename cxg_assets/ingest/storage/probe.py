"""Proves that a destination can be used, before any work: lists it, and writes, reads and removes a small object."""

import contextlib
import itertools
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cxg_assets.ingest.errors import BadInput, StoreError, Unreachable, shown_path
from cxg_assets.ingest.finding import Finding
from cxg_assets.ingest.storage.retry import Patience
from cxg_assets.ingest.storage.store import StoreLocator

SHORT = Patience(limit_seconds=10.0)
"""Nobody waits for minutes to hear that a host name is wrong; a hiccup is still forgiven."""

_NAME = ".cxg-probe-"

_CONTENT = b"cxg_assets tests that it can write here"


def probe(locator: StoreLocator) -> StoreLocator:
    """Proves that a destination can be listed, written, read and cleaned up. Leaves nothing there.

    In S3 it takes five requests; more where the S3 lacks something, which is switched off in the locator that is
    returned (`lacking` tells it).

    Raises:
        BadInput: It cannot; the message has the reason.
    """
    if locator.folder is None:
        with _named():
            locator.open(SHORT).sizes(_NAME)
    return probe_writing(locator)


def probe_writing(locator: StoreLocator) -> StoreLocator:
    """The same without listing, for who lists anyway."""
    if locator.folder is not None:
        _probe_folder(locator.folder)
        return locator
    path = f"{_NAME}{uuid.uuid4().hex}"
    try:
        with _named():
            proven = _write(locator, path)
    except BadInput:
        with contextlib.suppress(StoreError, FileNotFoundError):
            locator.open(SHORT).delete(path)  # it may be there, and only the answer was lost
        raise
    store = proven.open(SHORT)
    try:
        with _named():
            content = store.get(path)
    finally:
        with _named(f"; {store.uri(path)} stays there"):
            store.delete(path)
    if content != _CONTENT:
        place = shown_path(locator.url)
        raise BadInput(f"destination: {place} gave back other bytes than were written there; do not use it")
    return proven


def lacking(proven: StoreLocator) -> list[Finding]:
    """What the S3 of a destination lacks, and what follows."""
    told = []
    if not proven.conditional_create:
        told.append("conditional writes (If-None-Match): two runs at once may store a chunk twice, with the same bytes")
    if not proven.checksums:
        told.append("SHA-256 checksums: only cxg-assets verify finds what was damaged on the way")
    return [Finding.warned("destination", f"{proven.url}: it does not support {text}") for text in told]


def _write(locator: StoreLocator, path: str) -> StoreLocator:
    """Writes the probe, in the first way of these that the S3 knows."""
    *ways, last = (
        replace(locator, conditional_create=conditional, checksums=checksums)
        for conditional, checksums in itertools.product((True, False), repeat=2)
    )
    for way in ways:
        try:
            return _settle(way, path)
        except Unreachable:
            raise
        except StoreError:
            continue  # a refusal that is not about the two comes back in every way; the last one tells it
    return _settle(last, path)


def _settle(way: StoreLocator, path: str) -> StoreLocator:
    """Writes the probe twice: the second must be refused, or the S3 ignores the condition."""
    store = way.open(SHORT)
    store.put_chunk(path, _CONTENT, "probe")
    if way.conditional_create and store.put_chunk(path, _CONTENT, "probe").created:
        return replace(way, conditional_create=False)
    return way


@contextlib.contextmanager
def _named(more: str = "") -> Iterator[None]:
    try:
        yield
    except (StoreError, FileNotFoundError) as error:
        raise BadInput(f"destination: {error}{more}") from error


def _probe_folder(folder: Path) -> None:
    """Writes and removes a file. Folders that are missing are tried elsewhere, below the first that is there.

    Made in their own place and removed again, they would vanish under whoever else begins to write there.
    """
    try:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        with tempfile.TemporaryDirectory(prefix=_NAME, dir=there) as probed:
            tried = Path(probed) / folder.relative_to(there)
            tried.mkdir(parents=True, exist_ok=True)
            (tried / _NAME).touch()
    except OSError as error:
        raise BadInput(f"destination: {shown_path(folder)} cannot be written: {error.strerror}") from error
