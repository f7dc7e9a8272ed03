"""Makes the chunk plan of a subset."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from cxg_assets.ingest.census.census import layer_uri
from cxg_assets.ingest.census.distinct import n_distinct
from cxg_assets.ingest.census.tiles import TILE
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.layout import N_DIGITS, plan_path, subset_obs_path, subset_var_path
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan, PlanHeader, cell_nnz, write_plan
from cxg_assets.ingest.plan.fingerprint import ENCODING_VERSION, ChunkFingerprints
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.selection.subset import Subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, feather_source
from cxg_assets.ingest.storage.scratch import scratch_folder
from cxg_assets.ingest.storage.store import Store

MAX_CHUNKS = 100_000
"""Dagster's recommended limit of partitions of one asset."""


def make_plan(spec: SubsetSpec, subset: Subset, obs: FeatherSource, var: FeatherSource) -> ChunkPlan:
    """Cuts a subset into chunks of `spec.chunk_size` cells, in the order of its obs file.

    Memory: one chunk's joinids and the chunk table.

    Args:
        spec: The subset. Its layer, chunk_size and compression decide the files; what selected the cells is the
            subset's.
        subset: What its obs file says of itself.
        obs: The subset's obs file; its joinids and nnz are read.
        var: The subset's var file.

    Raises:
        BadInput: The spec selects something else than the subset has; there would be more than `MAX_CHUNKS` chunks;
            the Census does not have the spec's layer.
    """
    selection = subset.selection
    selection.require_selected_by(spec)
    check_n_chunks(spec, subset.n_obs)
    header = PlanHeader(
        plan_id="",
        subset=subset,
        layer=spec.layer,
        x_uri=layer_uri(subset.release.uri, selection.organism, spec.layer, subset.layers),
        compression=spec.compression,
        chunk_size=spec.chunk_size,
        encoding_version=ENCODING_VERSION,
    )
    with FeatherFile(var, columns=("soma_joinid",)) as genes:
        gene_joinids = genes.read()["soma_joinid"].to_numpy()
    fingerprints = ChunkFingerprints(
        provenance=header.provenance,
        release_fingerprint=subset.release.fingerprint,
        compression=spec.compression,
        obs_columns=selection.obs_columns,
        gene_joinids=gene_joinids,
    )
    chunks: list[Chunk] = []
    with FeatherFile(obs) as whole:
        columns = [name for name in ("soma_joinid", "nnz") if name in whole.schema.names]
    with FeatherFile(obs, columns=columns) as cells:
        for joinids, nnz in _cut(cells, spec.chunk_size):
            key, start = f"{len(chunks):05d}", len(chunks) * spec.chunk_size
            chunk = Chunk(
                key=key,
                row_start=start,
                row_stop=start + len(joinids),
                nnz=int(nnz.sum()),
                n_tiles=n_distinct(joinids // TILE),
                first_joinid=int(joinids[0]),
                last_joinid=int(joinids[-1]),
                fingerprint=fingerprints.of(key, joinids),
            )
            chunks.append(chunk)
    digest = hashlib.sha256("".join(chunk.fingerprint for chunk in chunks).encode()).hexdigest()
    return ChunkPlan(header=replace(header, plan_id=digest[:N_DIGITS]), chunks=tuple(chunks))


def check_n_chunks(spec: SubsetSpec, n_obs: int) -> None:
    """Refuses a chunk_size that makes more partitions than Dagster recommends.

    Raises:
        BadInput: There would be more than `MAX_CHUNKS` chunks.
    """
    n_chunks = -(-n_obs // spec.chunk_size)
    if n_chunks > MAX_CHUNKS:
        raise BadInput(
            f"chunk_size: {spec.chunk_size:,} makes {n_chunks:,} chunks of {counted(n_obs, 'cell')}, more than the "
            f"{MAX_CHUNKS:,} that Dagster recommends; a chunk_size of {-(-n_obs // MAX_CHUNKS):,} or more fits"
        )


def _cut(obs: FeatherFile, chunk_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One chunk after the other: its joinids and its cells' nnz, each (n_obs,) int64."""
    joinids, nnz = np.empty(0, np.int64), np.empty(0, np.int64)
    for batch in obs.batches():
        joinids = np.append(joinids, batch["soma_joinid"].to_numpy())
        nnz = np.append(nnz, cell_nnz(batch))
        n_whole = len(joinids) - len(joinids) % chunk_size
        for start in range(0, n_whole, chunk_size):
            yield joinids[start : start + chunk_size], nnz[start : start + chunk_size]
        joinids, nnz = joinids[n_whole:], nnz[n_whole:]
    if len(joinids):
        yield joinids, nnz


def store_plan(spec: SubsetSpec, subset: Subset, store: Store) -> ChunkPlan:
    """Plans the chunks of a subset and stores the plan.

    Raises:
        BadInput: The spec selects something else than the subset has; there would be too many chunks; the Census does
            not have the spec's layer.
    """
    obs, var = (
        feather_source(store, path(spec.name, subset.fingerprint)) for path in (subset_obs_path, subset_var_path)
    )
    plan = make_plan(spec, subset, obs, var)
    with scratch_folder() as folder:
        plan_file = folder / "plan.parquet"
        write_plan(plan, plan_file)
        store.put(plan_path(spec.name, plan.header.plan_id), plan_file)
    return plan
