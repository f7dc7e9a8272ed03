"""Reads back a stored chunk: whether it is the plan's, its measures and its checksum."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cxg_assets.ingest.chunks.reading import h5ad_file
from cxg_assets.ingest.chunks.report import ChunkReport, Told
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.formats import FORMATS, H5AD, ZARR
from cxg_assets.ingest.plan.chunk_plan import Chunk, PlanHeader
from cxg_assets.ingest.plan.published import remedy
from cxg_assets.ingest.storage.placing import Measure, checksum, folder_checksum, other_checksum
from cxg_assets.ingest.storage.store import Store

if TYPE_CHECKING:
    from anndata import AnnData

_MARKER = FORMATS[ZARR].marker

N_OBJECTS = 16
"""Objects of one chunk that are read at once: most are small, and wait for the network."""


class Reader(Protocol):
    """How chunks of a format are read from the bytes of their objects."""

    def told_by(self, objects: Mapping[str, bytes]) -> Told:
        """What the chunk says of itself; of many objects the marker is enough."""
        ...

    def read_chunk(self, objects: Mapping[str, bytes]) -> "AnnData":
        """All of it."""
        ...

    def read_cells(self, objects: Mapping[str, bytes], rows: slice) -> "AnnData":
        """Some of its cells."""
        ...

    def gene_joinids(self, objects: Mapping[str, bytes]) -> np.ndarray:
        """soma_joinids of its genes."""
        ...


def reader_of(header: PlanHeader) -> Reader:
    """That of a plan's format."""
    if header.format == H5AD:
        return h5ad_file
    # Imported here: numcodecs is for those who write or read zarr.
    from cxg_assets.ingest.chunks.reading import zarr_folder

    return zarr_folder


@dataclass(frozen=True, eq=False)
class ChunkFiles:
    """A stored chunk, whole and in memory.

    Attributes:
        uri: Its place.
        objects: Its objects by name below its place; of a chunk that is one object, that one under "".
        reader: Of its format.
    """

    uri: str
    objects: Mapping[str, bytes]
    reader: Reader

    @property
    def measure(self) -> Measure:
        """Its size and checksum."""
        n_bytes = sum(len(data) for data in self.objects.values())
        checksums = {name: checksum(data) for name, data in self.objects.items()}
        return Measure(n_bytes, checksums[""] if checksums.keys() == {""} else folder_checksum(checksums))

    def damage(self, expected: str) -> str:
        """How its SHA-256 (hex) differs from the recorded one, in words that name the object; empty if not."""
        found = self.measure.sha256
        if found != expected and "" not in self.objects:
            for name, (_, sha256) in _others_of(self.objects[_MARKER]).items():
                if other := other_checksum(f"{self.uri}/{name}", checksum(self.objects[name]), sha256):
                    return other
            return other_checksum(f"{self.uri}/{_MARKER}, or what it tells of,", found, expected)
        return other_checksum(self.uri, found, expected)

    def read(self) -> "AnnData":
        """All of it."""
        return self.reader.read_chunk(self.objects)

    def read_cells(self, rows: slice) -> "AnnData":
        """Some of its cells."""
        return self.reader.read_cells(self.objects, rows)

    def gene_joinids(self) -> np.ndarray | None:
        """soma_joinids of its genes in order, (n_vars,) int64; None when they cannot be read."""
        try:
            return self.reader.gene_joinids(self.objects)
        except (OSError, KeyError, ValueError):
            return None


def fetch_chunk(store: Store, header: PlanHeader, chunk: Chunk) -> ChunkFiles:
    """Reads a chunk whole.

    Raises:
        FileNotFoundError: It, or an object of it, is not there.
        CxgError: What tells of its objects is damaged.
    """
    place, marker = header.path(chunk), header.marker(chunk)
    last = store.get(marker)
    if marker == place:
        return ChunkFiles(store.uri(place), {"": last}, reader_of(header))
    names = list(_objects_told(store, header, chunk, last))
    with ThreadPoolExecutor(N_OBJECTS) as threads:
        data = list(threads.map(lambda name: store.get(f"{place}/{name}"), names))
    objects = {**dict(zip(names, data, strict=True)), _MARKER: last}
    return ChunkFiles(store.uri(place), objects, reader_of(header))


def unlike_listing(store: Store, header: PlanHeader, chunk: Chunk, sizes: Mapping[str, int]) -> str:
    """Which object of a chunk is not listed as its marker tells, in words; empty for a chunk that is one object.

    Args:
        store: The destination.
        header: The plan's.
        chunk: A chunk whose marker is there.
        sizes: Sizes in bytes of what is listed, by path.
    """
    place, marker = header.path(chunk), header.marker(chunk)
    if marker == place:
        return ""
    told = _objects_told(store, header, chunk, store.get(marker))
    for name, (n_bytes, _) in told.items():
        path = f"{place}/{name}"
        if path not in sizes:
            return f"missing: {store.uri(path)} is not there"
        if sizes[path] != n_bytes:
            return f"{store.uri(path)} has {sizes[path]:,} bytes, {n_bytes:,} were recorded"
    own = {marker, *(f"{place}/{name}" for name in told)}
    others = sorted(path for path in sizes if path.startswith(f"{place}/") and path not in own)
    return f"{store.uri(others[0])} is not of the chunk" if others else ""


def read_report(store: Store, header: PlanHeader, chunk: Chunk) -> ChunkReport:
    """Makes the report of a chunk from what lies there; nothing is known of its times and its worker.

    Of a chunk of many objects only the marker is read, which tells of the others.

    Raises:
        FileNotFoundError: The chunk is not stored.
        CxgError: The file is not the chunk that the plan means.
    """
    last = store.get(header.marker(chunk))
    told = require_chunk(lambda: reader_of(header).told_by({_name_of(header): last}), store, header, chunk)
    measure = Measure(len(last), checksum(last))
    if header.format == ZARR:
        others = _objects_told(store, header, chunk, last)
        n_bytes = len(last) + sum(n_bytes for n_bytes, _ in others.values())
        checksums = {name: sha256 for name, (_, sha256) in others.items()} | {_MARKER: measure.sha256}
        measure = Measure(n_bytes, folder_checksum(checksums))
    return report_on(measure, store, header, chunk, nnz=told.nnz, layer_nnz=told.layer_nnz, worker="", attempt=0)


def report_on(
    measure: Measure,
    store: Store,
    header: PlanHeader,
    chunk: Chunk,
    *,
    nnz: int,
    worker: str,
    attempt: int,
    **measured: Any,
) -> ChunkReport:
    """The report of a chunk: what its plan and its bytes say, and (`measured`) what was measured besides."""
    return ChunkReport(
        chunk=chunk.key,
        fingerprint=chunk.fingerprint,
        uri=store.uri(header.path(chunk)),
        n_obs=chunk.n_obs,
        n_vars=header.subset.n_vars,
        nnz=nnz,
        n_bytes=measure.n_bytes,
        sha256=measure.sha256,
        first_joinid=chunk.first_joinid,
        last_joinid=chunk.last_joinid,
        split=chunk.split,
        worker=worker,
        attempt=attempt,
        **measured,
    )


def require_chunk(tell: Callable[[], Told], store: Store, header: PlanHeader, chunk: Chunk) -> Told:
    """Makes sure that a chunk is the one that the plan means, by what it says of itself when it is asked (`tell`).

    Raises:
        CxgError: It is not.
    """
    uri = store.uri(header.marker(chunk))
    try:
        told = tell()
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise _no_chunk(store, header, chunk, error) from error
    if told.fingerprint != chunk.fingerprint or told.n_obs != chunk.n_obs or told.n_vars != header.subset.n_vars:
        raise CxgError(
            f"{uri} has fingerprint {told.fingerprint[:8]} and {told.n_obs} cells, the plan expects "
            f"{chunk.fingerprint[:8]} and {chunk.n_obs}: it was made from other inputs; {remedy(store, header)}"
        )
    return told


def _name_of(header: PlanHeader) -> str:
    return "" if header.format == H5AD else _MARKER


def _objects_told(store: Store, header: PlanHeader, chunk: Chunk, marker: bytes) -> dict[str, tuple[int, str]]:
    try:
        return _others_of(marker)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _no_chunk(store, header, chunk, error) from error


def _others_of(marker: bytes) -> dict[str, tuple[int, str]]:
    from cxg_assets.ingest.chunks.reading.zarr_folder import others_of

    return others_of(marker)


def _no_chunk(store: Store, header: PlanHeader, chunk: Chunk, error: Exception) -> CxgError:
    uri = store.uri(header.marker(chunk))
    return CxgError(f"{uri} is not a chunk of cxg_assets ({error}); {remedy(store, header)}")
