"""Makes chunks: reads the rows of a span, encodes them, and stores each chunk as soon as it is whole.

Reading the next block, encoding this one and storing the last chunk run side by side; none of them holds the GIL.
"""

import contextlib
import os
import socket
import time
from collections import deque
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from cxg_assets.ingest.census.tiles import cell_nnz
from cxg_assets.ingest.chunks.encoder import ChunkEncoder
from cxg_assets.ingest.chunks.first_pass import make_piece
from cxg_assets.ingest.chunks.h5ad_template import Template
from cxg_assets.ingest.chunks.job import N_UPLOADS, IngestJob, Opened, open_job
from cxg_assets.ingest.chunks.report import ChunkFailure, ChunkReport, PieceReport, Result, count_cell_types
from cxg_assets.ingest.chunks.row_feed import LayerFeeds, RowFeed, Taken
from cxg_assets.ingest.chunks.stored_chunk import read_report, report_on
from cxg_assets.ingest.errors import CxgError, Unreachable
from cxg_assets.ingest.plan.chunk_plan import Chunk
from cxg_assets.ingest.plan.passes.two_passes import Piece
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.ingest.pools.pool_rows import pool_blocks
from cxg_assets.ingest.selection.places import obsm_of
from cxg_assets.ingest.storage.placing import FilePlace, FolderPlace, Place
from cxg_assets.ingest.x.costs import OtherThreads
from cxg_assets.ingest.x.csr import warm_up

if TYPE_CHECKING:
    from cxg_assets.ingest.chunks.zarr.encoder import ZarrEncoder


def import_ahead() -> None:
    """Imports and compiles what every worker needs, for a process that may be given its job later."""
    import anndata.io  # noqa: F401
    import tiledbsoma  # noqa: F401

    warm_up()


class Worker:
    """Makes the chunks of one plan, a span at a time. Opens everything once, at the latest for the first span."""

    def __init__(self, job: IngestJob) -> None:
        self._job = job
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._resources = ExitStack()
        self._opened: Opened | None = None

    def open(self) -> None:
        """Opens the Census and the subset, and encodes what the chunks share; once.

        Raises:
            BadInput: The Census is not the one that the run began with.
            CxgError: The Census or the subset cannot be opened.
        """
        self._open()

    def close(self) -> None:
        """Closes the Census and the subset."""
        self._opened = None
        self._resources.close()

    def run(self, span: Span) -> Iterator[Result]:
        """Makes the chunks of a span, or a piece of the first of two passes.

        Yields:
            One result for each chunk of the span, in order, as soon as the chunk is stored or has failed. A chunk that
            fails does not keep the others from being stored.

        Raises:
            Unreachable: The Census or the destination did not answer for minutes; the rest of the span was left.
            MemoryError: This process got no more memory; the rest of the span was left.
            CxgError: The Census or the subset cannot be opened.
        """
        self._open()
        chunks: list[Chunk] = []
        for item in span.chunks:
            if isinstance(item, Piece):
                yield self._make_piece(item, span.attempt)
            else:
                chunks.append(item)
        if not chunks:
            return
        n_done = 0
        for result in self._run_pass(chunks, span.attempt):
            yield result
            n_done += 1
        # Chunks share blocks, so the pass can have ended on a neighbour's cells: each that is left is read by itself.
        for chunk in chunks[n_done:]:
            yield from self._run_pass((chunk,), span.attempt)

    def _make_piece(self, piece: Piece, attempt: int) -> PieceReport | ChunkFailure:
        assert self._job.pieces is not None  # such a span comes with such a job only
        try:
            with _short_of_memory():
                n_retries, costs = make_piece(self._job, self._open(), self._job.pieces, piece)
        except (Unreachable, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, it is this piece's result
            return self._failure(piece.key, attempt, error)
        return PieceReport(
            chunk=piece.key, n_obs=piece.n_obs, retries=n_retries, worker=self._name, attempt=attempt, **asdict(costs)
        )

    def _run_pass(self, chunks: Sequence[Chunk], attempt: int) -> Iterator[ChunkReport | ChunkFailure]:
        """One pass over the Census, up to the first chunk that cannot be read or encoded.

        That chunk has failed if the pass was for it alone; otherwise there is no result for it yet.
        """
        uploads: deque[Future[ChunkReport | ChunkFailure]] = deque()
        failure: ChunkFailure | None = None
        end: Unreachable | MemoryError | None = None
        others = OtherThreads()
        with contextlib.closing(self._make(chunks, others)) as made, _waiting_for(uploads):
            try:
                for chunk in chunks:
                    try:
                        with _short_of_memory():
                            encoded = next(made)
                    except (Unreachable, MemoryError):
                        raise
                    except Exception as error:  # noqa: BLE001 - whatever it was, it is this chunk's result
                        failure = self._failure(chunk.key, attempt, error)
                        break
                    if len(uploads) == N_UPLOADS:
                        yield uploads.popleft().result()
                    uploads.append(self._open().uploading.submit(self._store_chunk, chunk, attempt, encoded, others))
                    while uploads and uploads[0].done():
                        yield uploads.popleft().result()
            except (Unreachable, MemoryError) as error:
                # The neighbours would wait for the same store, as long and in vain. What was stored is told first.
                end = error
            while uploads:
                try:
                    yield uploads.popleft().result()
                except (Unreachable, MemoryError) as error:
                    end = error
        if end is not None:
            raise end
        if failure is not None and len(chunks) == 1:
            yield failure

    def _make(self, chunks: Sequence[Chunk], others: OtherThreads) -> Generator["_Encoded", None, None]:
        """Reads and encodes chunks in order; each is yielded when it is whole."""
        opened = self._open()
        obs = opened.obs.pieces([(chunk.row_start, chunk.row_stop) for chunk in chunks])
        joinids, nnz, pool_obs = obs["soma_joinid"].to_numpy(), cell_nnz(obs), self._job.header.pool_obs
        rows = LayerFeeds()
        for path, reader in opened.readers.items():
            expected, pools = opened.expected_nnz(path, nnz), pool_blocks(chunks, pool_obs)
            pieces = opened.pieces.get(path)
            rows.add(path, RowFeed(reader, joinids, expected, opened.reading, others, pools, pieces))
        with contextlib.closing(rows):
            start = 0
            for chunk in chunks:
                encode_seconds, cpu_began = 0.0, time.thread_time()
                before = rows.taken
                encoder, place = self._begin(chunk)
                with contextlib.closing(encoder):
                    for path, piece in rows.take(chunk.n_obs):
                        began = time.perf_counter()
                        encoder.append(piece, path)
                        encode_seconds += time.perf_counter() - began
                    began = time.perf_counter()
                    of_chunk = obs.slice(start, chunk.n_obs)
                    last = encoder.finish(of_chunk, chunk.key, chunk.fingerprint, chunk.split, obsm_of(of_chunk))
                    encode_seconds += time.perf_counter() - began
                start += chunk.n_obs
                taken = rows.taken - before
                yield _Encoded(
                    last=last,
                    place=place,
                    nnz=encoder.nnz,
                    layer_nnz=encoder.layer_nnz,
                    taken=replace(taken, cpu_seconds=taken.cpu_seconds + time.thread_time() - cpu_began),
                    encode_seconds=encode_seconds,
                    cell_types=count_cell_types(of_chunk),
                )

    def _begin(self, chunk: Chunk) -> "tuple[ChunkEncoder | ZarrEncoder, Place]":
        """The encoder of a chunk, and where it is put."""
        opened, job = self._open(), self._job
        path = job.header.path(chunk)
        if isinstance(opened.template, Template):
            place = FilePlace(opened.store, path, chunk.fingerprint, job.replace)
            return ChunkEncoder(opened.template), place
        from cxg_assets.ingest.chunks.zarr.encoder import ZarrEncoder

        assert opened.objects is not None  # such a template comes with its threads
        marker = job.header.chunk_format.marker
        folder = FolderPlace(opened.store, path, marker, chunk.fingerprint, replace=job.replace, threads=opened.objects)
        return ZarrEncoder(opened.template, folder.add), folder

    def _store_chunk(
        self, chunk: Chunk, attempt: int, encoded: "_Encoded", others: OtherThreads
    ) -> ChunkReport | ChunkFailure:
        """Stores one chunk, and adds the CPU of that to what it took."""
        with others.left_out() as cpu_seconds:
            report = self._stored(chunk, attempt, encoded)
        if isinstance(report, ChunkFailure):
            return report
        return replace(report, cpu_seconds=round(report.cpu_seconds + cpu_seconds[0], 4))

    def _stored(self, chunk: Chunk, attempt: int, encoded: "_Encoded") -> ChunkReport | ChunkFailure:
        header = self._job.header
        store = self._open().store
        began = time.perf_counter()
        try:
            with _short_of_memory():
                stored = encoded.place.store(encoded.last)
            seconds, stored_at = time.perf_counter() - began, time.time()
            found = None if stored.created else read_report(store, header, chunk)
        except (Unreachable, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, it is this chunk's result
            return self._failure(chunk.key, attempt, error)
        report = report_on(
            encoded.place.measure(encoded.last),
            store,
            header,
            chunk,
            nnz=encoded.nnz,
            layer_nnz=encoded.layer_nnz,
            worker=self._name,
            attempt=attempt,
            cpu_seconds=encoded.taken.cpu_seconds,
            bytes_read=round(encoded.taken.bytes_read),
            read_requests=round(encoded.taken.requests, 3),
            write_requests=encoded.place.n_requests(encoded.last) + stored.retries,
            read_seconds=round(encoded.taken.seconds, 4),
            encode_seconds=round(encoded.encode_seconds, 4),
            upload_seconds=round(seconds, 4),
            read_retries=encoded.taken.retries,
            upload_retries=stored.retries,
            nnz_decoded=round(encoded.taken.nnz_decoded),
            cell_types=encoded.cell_types,
            stored_at=stored_at,
        )
        if found is not None:
            # Another run was first, or the answer to our own request was lost: what lies there counts. Its bytes may
            # differ from ours, as ISA-L packs differently on another CPU.
            report = replace(report, n_bytes=found.n_bytes, sha256=found.sha256)
        return report

    def _failure(self, key: str, attempt: int, error: Exception) -> ChunkFailure:
        text = str(error) if isinstance(error, CxgError) else f"{type(error).__name__}: {error}"
        return ChunkFailure(chunk=key, error=text, worker=self._name, attempt=attempt)

    def _open(self) -> "Opened":
        if self._opened is None:
            with _short_of_memory(), ExitStack() as stack:
                self._opened = open_job(self._job, stack)
                self._resources = stack.pop_all()
        return self._opened


@dataclass(frozen=True, kw_only=True)
class _Encoded:
    """A whole chunk that has not been stored: its last object, and where that and all others are put."""

    last: bytes
    place: Place
    nnz: int
    layer_nnz: Mapping[str, int]
    taken: Taken
    encode_seconds: float
    cell_types: Mapping[str, int]


@contextlib.contextmanager
def _short_of_memory() -> Iterator[None]:
    """Raises MemoryError where Python says in another way that the process gets no more memory: for a thread."""
    try:
        yield
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        raise MemoryError(str(error)) from error


@contextlib.contextmanager
def _waiting_for(futures: Collection[Future[Any]]) -> Iterator[None]:
    """At the end of the block waits for what is in the collection then."""
    try:
        yield
    finally:
        wait(list(futures))
