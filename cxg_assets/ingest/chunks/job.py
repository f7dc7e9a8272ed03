"""What a worker is told, and what it keeps open for it."""

import contextlib
import functools
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.chunks.h5ad_template import OBSM, ArrayInChunk, Template, make_template
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.formats import H5AD
from cxg_assets.ingest.layout import subset_var_path
from cxg_assets.ingest.plan.chunk_plan import PlanHeader
from cxg_assets.ingest.pools.pieces import PieceReader, PieceSet
from cxg_assets.ingest.selection.places import uns_of
from cxg_assets.ingest.storage.feather import FeatherFile, feather_source
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets.ingest.x.csr import warm_up
from cxg_assets.ingest.x.reader import BUFFER_BYTES, XReader
from cxg_assets.ingest.x_layers import X

if TYPE_CHECKING:
    from cxg_assets.ingest.chunks.zarr.template import ZarrTemplate

N_OBJECTS = 16
"""Objects of zarr chunks that a worker stores at once: most are small, and wait for the network."""

N_UPLOADS = 2
"""Chunks of a worker that are being stored at once; the next one waits, so that memory stays bounded."""


@dataclass(frozen=True, kw_only=True)
class IngestJob:
    """All that a worker needs to know besides its spans. Picklable.

    Attributes:
        census: The Census, pinned to the release's timestamp.
        store: The destination.
        header: What the chunks of the plan share.
        n_threads: TileDB threads of a worker.
        x_nnz: Non-zeros of the whole X array. A worker that opens another (the Census was replaced) makes nothing of
            it; None is not compared.
        pieces: Of fully shuffled cells, what the first pass makes and the second reads.
        replace: Chunks that lie there are damaged: put the new ones over them.
    """

    census: CensusLocator
    store: StoreLocator
    header: PlanHeader
    n_threads: int = 1
    x_nnz: int | None = None
    replace: bool = False
    pieces: PieceSet | None = None


@dataclass(frozen=True)
class Opened:
    """What a worker keeps open for its whole life.

    `readers` has X, the further layers and the arrays of obsm, `pieces` what the first of two passes has made of each,
    by their paths in a chunk.
    """

    store: Store
    obs: FeatherFile
    readers: Mapping[str, XReader]
    template: "Template | ZarrTemplate"
    reading: ThreadPoolExecutor
    uploading: ThreadPoolExecutor
    objects: ThreadPoolExecutor | None
    pieces: Mapping[str, PieceReader]

    @property
    def x(self) -> XReader:
        """That of X."""
        return self.readers[X]

    def expected_nnz(self, path: str, nnz: np.ndarray) -> np.ndarray:
        """Values that an array has of cells with so many non-zeros in X/raw of all genes, (n_obs,) each."""
        reader = self.readers[path]
        return np.full(len(nnz), reader.n_columns) if path.startswith(OBSM) else nnz * reader.share


def open_job(job: IngestJob, stack: ExitStack) -> Opened:
    """Opens the Census and the subset, and encodes what the chunks share; the stack closes them.

    Raises:
        BadInput: The Census is not the one that the run began with.
        CxgError: The Census or the subset cannot be opened.
    """
    reading, uploading = (stack.enter_context(_started_threads(n)) for n in (1, N_UPLOADS))
    header, store = job.header, job.store.open()
    var_path = subset_var_path(header.subset.name, header.subset.fingerprint)
    obs = stack.enter_context(FeatherFile(feather_source(store, header.obs_path)))
    with store.local_copy(var_path) as path, FeatherFile(path) as file:
        var = file.read()
    warm_up()
    open_array = functools.partial(job.census.open_x, n_threads=job.n_threads, buffer_bytes=BUFFER_BYTES)
    array = stack.enter_context(open_array(header.x_uri))
    arrays = {X: array}
    for path, uri in header.array_uris.items():
        if path != X:
            arrays[path] = stack.enter_context(open_array(uri, of=path.partition("/")[0], beside=array))
    if job.x_nnz is not None and array.nnz != job.x_nnz:
        raise BadInput(
            f"census {job.census.uri}: X/{header.layer} has {array.nnz:,} non-zeros, and had {job.x_nnz:,} when "
            "this run began: the Census was replaced. Make index, subset and plan anew"
        )
    genes = var["soma_joinid"].to_numpy()
    readers = {path: XReader(array, _columns(path, header, genes)) for path, array in arrays.items()}
    template = make_template(
        var,
        obs.no_rows(),
        readers[X].dtype,
        obs_columns=header.subset.selection.chunk_columns,
        provenance=header.provenance,
        compression=header.compression if header.format == H5AD else "none",
        chunk_size=header.cells_of_first,
        has_split=bool(header.subset.parts),
        genes_text=header.genes_text,
        further={path: _array_of(path, header, reader) for path, reader in readers.items() if path != X},
        uns=uns_of(header.subset.scenes),
    )
    pieces: dict[str, PieceReader] = {}
    if job.pieces is not None:
        pieces = {path: PieceReader(store, job.pieces, reader.dtype, path) for path, reader in readers.items()}
    if header.format == H5AD:
        return Opened(store, obs, readers, template, reading, uploading, None, pieces)
    zarr_template = _zarr_template(template, header.compression, header.cells_of_first)
    objects = stack.enter_context(_started_threads(N_OBJECTS))
    return Opened(store, obs, readers, zarr_template, reading, uploading, objects, pieces)


def _columns(path: str, header: PlanHeader, genes: np.ndarray) -> np.ndarray:
    """soma_joinids of the columns of an array that are wanted: of obsm all."""
    return np.arange(header.obsm[path.removeprefix(OBSM)].n_features) if path.startswith(OBSM) else genes


def _array_of(path: str, header: PlanHeader, reader: XReader) -> ArrayInChunk:
    """How an array is written."""
    if not path.startswith(OBSM):
        return ArrayInChunk(dtype=reader.dtype)
    obsm = header.obsm[path.removeprefix(OBSM)]
    return ArrayInChunk(dtype=obsm.dtype(reader.dtype), n_columns=obsm.n_features, missing=obsm.missing)


def _zarr_template(template: Template, compression: str, largest: int) -> "ZarrTemplate":
    # Imported here: who writes h5ad needs none of it.
    try:
        from cxg_assets.ingest.chunks.zarr.template import make_zarr_template
    except ImportError as error:
        raise BadInput(f"format: zarr needs more packages ({error}); install cxg_assets[zarr]") from error
    return make_zarr_template(template, compression, largest)


@contextlib.contextmanager
def _started_threads(n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """An executor whose threads have all started; it waits for them at the end of the block.

    Python starts a thread and waits for its first sign of life. Where memory has run out meanwhile, the thread dies
    without one, and `start` waits for ever (CPython 3.11, seen in a worker). So workers start theirs while they open.
    """
    with ThreadPoolExecutor(n_threads) as executor:
        all_there = threading.Barrier(n_threads + 1)
        for _ in range(n_threads):
            executor.submit(all_there.wait)
        all_there.wait()
        yield executor
