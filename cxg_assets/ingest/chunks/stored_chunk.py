"""Reads back a stored chunk: whether it is the plan's, its measures and its checksum."""

import hashlib
import io
from pathlib import Path
from typing import Any

import h5py

from cxg_assets.ingest.chunks.h5ad_template import UNS_KEY
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.plan.chunk_plan import Chunk, PlanHeader
from cxg_assets.ingest.plan.published import remedy
from cxg_assets.ingest.storage.store import Store


def read_report(store: Store, header: PlanHeader, chunk: Chunk) -> ChunkReport:
    """Makes the report of a chunk from its file; nothing is known of its times and its worker.

    Raises:
        FileNotFoundError: The chunk is not stored.
        CxgError: The file is not the chunk that the plan means.
    """
    data = store.get(header.path(chunk))
    nnz = require_chunk(io.BytesIO(data), store, header, chunk)
    return report_on(data, store, header, chunk, nnz=nnz, worker="", attempt=0)


def report_on(
    data: bytes, store: Store, header: PlanHeader, chunk: Chunk, *, nnz: int, worker: str, attempt: int, **measured: Any
) -> ChunkReport:
    """The report of a chunk: what its plan and its bytes say, and (`measured`) what was measured besides."""
    return ChunkReport(
        chunk=chunk.key,
        fingerprint=chunk.fingerprint,
        uri=store.uri(header.path(chunk)),
        n_obs=chunk.n_obs,
        n_vars=header.subset.n_vars,
        nnz=nnz,
        n_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        first_joinid=chunk.first_joinid,
        last_joinid=chunk.last_joinid,
        split=chunk.split,
        worker=worker,
        attempt=attempt,
        **measured,
    )


def require_chunk(source: io.BytesIO | Path, store: Store, header: PlanHeader, chunk: Chunk) -> int:
    """Makes sure that a file (or its bytes) is the chunk that the plan means, by what it says of itself.

    Raises:
        CxgError: It is not.

    Returns:
        Its non-zeros.
    """
    uri = store.uri(header.path(chunk))
    try:
        with h5py.File(source, "r") as opened:
            file: Any = opened
            fingerprint = str(file[f"uns/{UNS_KEY}/fingerprint"].asstr()[()])
            n_obs, n_vars = (int(size) for size in file["X"].attrs["shape"])
            nnz = len(file["X/data"])
    except (OSError, KeyError) as error:
        raise CxgError(f"{uri} is not a chunk of cxg_assets ({error}); {remedy(store, header)}") from error
    if fingerprint != chunk.fingerprint or n_obs != chunk.n_obs or n_vars != header.subset.n_vars:
        raise CxgError(
            f"{uri} has fingerprint {fingerprint[:8]} and {n_obs} cells, the plan expects "
            f"{chunk.fingerprint[:8]} and {chunk.n_obs}: it was made from other inputs; {remedy(store, header)}"
        )
    return nnz
