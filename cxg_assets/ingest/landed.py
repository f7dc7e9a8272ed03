"""Reads back a chunk that has landed: its measures and its checksum."""

import hashlib
import io
from typing import Any

import h5py

from cxg_assets.ingest.dataset import remedy
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.layout import chunk_path
from cxg_assets.ingest.plan import Chunk, PlanHeader
from cxg_assets.ingest.report import ChunkReport
from cxg_assets.ingest.store import Store
from cxg_assets.ingest.template import UNS_KEY


def read_report(store: Store, header: PlanHeader, chunk: Chunk) -> ChunkReport:
    """Makes the report of a chunk from its file; nothing is known of its times and its worker.

    Raises:
        FileNotFoundError: The chunk has not landed.
        CxgError: The file is not the chunk that the plan means.
    """
    path = chunk_path(header.subset, header.plan_id, chunk.key, chunk.fingerprint)
    data = store.get(path)
    try:
        with h5py.File(io.BytesIO(data)) as opened:
            file: Any = opened
            fingerprint = str(file[f"uns/{UNS_KEY}/fingerprint"].asstr()[()])
            n_obs, n_vars = (int(size) for size in file["X"].attrs["shape"])
            nnz = len(file["X/data"])
    except (OSError, KeyError) as error:
        what_to_do = remedy(store, header)
        raise CxgError(f"{store.uri(path)} is not a chunk of cxg_assets ({error}); {what_to_do}") from error
    if fingerprint != chunk.fingerprint or n_obs != chunk.n_obs or n_vars != header.n_vars:
        raise CxgError(
            f"{store.uri(path)} has fingerprint {fingerprint[:8]} and {n_obs} cells, the plan expects "
            f"{chunk.fingerprint[:8]} and {chunk.n_obs}: it was made from other inputs; {remedy(store, header)}"
        )
    return ChunkReport(
        chunk=chunk.key,
        fingerprint=fingerprint,
        uri=store.uri(path),
        n_obs=n_obs,
        n_vars=n_vars,
        nnz=nnz,
        n_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        first_joinid=chunk.first_joinid,
        last_joinid=chunk.last_joinid,
        read_seconds=0.0,
        encode_seconds=0.0,
        upload_seconds=0.0,
        worker="",
        attempt=0,
    )
