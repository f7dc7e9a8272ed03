"""Makes the chunk plan of a subset."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from cxg_assets.ingest.census.census import CensusLocator, layer_uri
from cxg_assets.ingest.census.distinct import n_distinct
from cxg_assets.ingest.census.tiles import TILE, cell_nnz
from cxg_assets.ingest.embeddings.obsm import ObsmArray, find_obsm
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.genes.vocabulary import padded_genes
from cxg_assets.ingest.layout import N_DIGITS, plan_path, subset_obs_path, subset_var_path
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan, PlanHeader, write_plan
from cxg_assets.ingest.plan.fingerprint import ChunkFingerprints, encoding_version
from cxg_assets.ingest.plan.mixing import measure_mixing
from cxg_assets.ingest.plan.ordering import Pools, held_nnz, write_ordered_obs
from cxg_assets.ingest.plan.passes.cutting import plan_passes
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.sampling import CENSUS_ORDER, FULLY_SHUFFLED
from cxg_assets.ingest.selection.categories import categories_of
from cxg_assets.ingest.selection.subset import Subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, feather_source, present_columns
from cxg_assets.ingest.storage.scratch import scratch_folder
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.x_layers import FurtherLayer

MAX_CHUNKS = 100_000
"""Dagster's recommended limit of partitions of one asset."""


def make_plan(
    spec: SubsetSpec,
    subset: Subset,
    obs: FeatherSource,
    var: FeatherSource,
    ordered: Path,
    obsm: Mapping[str, ObsmArray] | None = None,
) -> ChunkPlan:
    """Cuts a subset into chunks of `spec.chunk_size` cells, part by part of its split, in the order of the spec.

    Memory: one chunk's joinids and the chunk table; see `ordering` for a split and an order.

    Args:
        spec: The subset. Its layers, chunk_size, format, compression and genes_text decide the files; what selected the
            cells is the subset's.
        subset: What its obs file says of itself.
        obs: The subset's obs file; its joinids and nnz are read.
        var: The subset's var file.
        ordered: Where the plan's own obs file is written, if it needs one.
        obsm: What `find_obsm` found of the spec's names for obsm.

    Raises:
        BadInput: The spec selects something else than the subset has; there would be more than `MAX_CHUNKS` chunks;
            the Census does not have one of the spec's layers.
    """
    selection = subset.selection
    selection.require_selected_by(spec)
    check_n_chunks(spec, subset.n_obs)

    def uri_of(layer: str) -> str:
        return layer_uri(subset.release.uri, selection.experiment, layer, subset.layers)

    header = PlanHeader(
        plan_id="",
        subset=subset,
        layer=spec.layer,
        x_uri=uri_of(spec.layer),
        further_layers={
            name: FurtherLayer(layer=layer, uri=uri_of(layer)) for name, layer in spec.further_layers.items()
        },
        obsm=dict(obsm or {}),
        compression=spec.compression,
        chunk_size=spec.chunk_size,
        genes_text=spec.genes_text,
        encoding_version=encoding_version(spec.format),
        format=spec.format,
    )
    pools = None
    if spec.order.kind != CENSUS_ORDER:
        pools = Pools.of(subset.n_obs, held_nnz(header, _nnz(obs)), spec.chunk_size)
        header = replace(header, order=spec.order, pool_obs=pools.n_obs)
    subset_obs = obs
    if header.has_own_obs:
        write_ordered_obs(header, obs, ordered)
        obs = ordered
    if pools is not None:
        header = replace(header, mixing=measure_mixing(obs))
    with FeatherFile(var, columns=("soma_joinid", *(("feature_id",) if subset.n_padded else ()))) as file:
        genes = file.read()
    fingerprints = ChunkFingerprints(
        provenance=header.provenance,
        release_fingerprint=subset.release.fingerprint,
        compression=spec.compression,
        genes_text=spec.genes_text,
        obs_columns=selection.chunk_columns,
        categories=categories_of(obs, selection.chunk_columns),
        gene_joinids=genes["soma_joinid"].to_numpy(),
        padded=padded_genes(genes) if subset.n_padded else (),
        chunk_format=spec.format,
        scenes={name: asdict(scene) for name, scene in sorted(subset.scenes.items())},
    )
    chunks: list[Chunk] = []
    start = n_pools = 0
    with FeatherFile(obs, columns=present_columns(obs, ("soma_joinid", "nnz"))) as cells:
        rows = _Rows(cells)
        for part, n_obs in (subset.parts or {None: subset.n_obs}).items():
            pool_of = None if pools is None else pools.number(np.arange(0, n_obs, spec.chunk_size)) + n_pools
            for number, in_part in enumerate(range(0, n_obs, spec.chunk_size)):
                joinids, nnz = rows.take(min(spec.chunk_size, n_obs - in_part))
                key = f"{len(chunks):05d}"
                chunk = Chunk(
                    key=key,
                    row_start=start,
                    row_stop=start + len(joinids),
                    nnz=int(nnz.sum()),
                    n_tiles=n_distinct(joinids // TILE),
                    first_joinid=int(joinids.min()),
                    last_joinid=int(joinids.max()),
                    fingerprint=fingerprints.of(key, joinids, part),
                    split=part,
                    pool=None if pool_of is None else int(pool_of[number]),
                )
                chunks.append(chunk)
                start += len(joinids)
            if pools is not None:
                n_pools += int(pools.number(np.array([n_obs - 1]))[0]) + 1
    two_passes = None
    if pools is not None and spec.order.kind == FULLY_SHUFFLED:
        n_of_parts = list(subset.parts.values()) or [subset.n_obs]
        two_passes = plan_passes(subset_obs, ordered, n_of_parts, pools, spec.order.seed)
    digest = hashlib.sha256("".join(chunk.fingerprint for chunk in chunks).encode()).hexdigest()
    header = replace(header, plan_id=digest[:N_DIGITS])
    return ChunkPlan(header=header, chunks=tuple(chunks), two_passes=two_passes)


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


def _nnz(obs: FeatherSource) -> int:
    with FeatherFile(obs, columns=present_columns(obs, ("soma_joinid", "nnz"))) as cells:
        return sum(int(cell_nnz(batch).sum()) for batch in cells.batches())


class _Rows:
    """The rows of an obs file, some after the other."""

    def __init__(self, obs: FeatherFile) -> None:
        self._batches = obs.batches()
        self._joinids, self._nnz = np.empty(0, np.int64), np.empty(0, np.int64)

    def take(self, n_obs: int) -> tuple[np.ndarray, np.ndarray]:
        """The next cells: their joinids and nnz, each (n_obs,) int64."""
        joinids, nnz = [self._joinids], [self._nnz]
        n_there = len(self._joinids)
        while n_there < n_obs and (batch := next(self._batches, None)) is not None:
            joinids.append(batch["soma_joinid"].to_numpy())
            nnz.append(cell_nnz(batch))
            n_there += batch.num_rows
        all_joinids, all_nnz = np.concatenate(joinids), np.concatenate(nnz)
        self._joinids, self._nnz = all_joinids[n_obs:], all_nnz[n_obs:]
        return all_joinids[:n_obs], all_nnz[:n_obs]


def store_plan(spec: SubsetSpec, subset: Subset, store: Store, census: CensusLocator | None = None) -> ChunkPlan:
    """Plans the chunks of a subset and stores the plan.

    Only for embeddings the Census is asked, which `census` is then needed for.

    Raises:
        BadInput: The spec selects something else than the subset has; there would be too many chunks; the Census does
            not have one of the spec's layers or embeddings.
    """
    obs, var = (
        feather_source(store, path(spec.name, subset.fingerprint)) for path in (subset_obs_path, subset_var_path)
    )
    obsm: dict[str, ObsmArray] = {}
    if spec.obs_embeddings or spec.obsm_layers:
        if census is None:
            raise BadInput("obs_embeddings: only the Census tells where they are; give store_plan its locator")
        obsm = find_obsm(census, spec.experiment, spec.obs_embeddings, spec.obsm_layers)
    with scratch_folder() as folder:
        plan_file, obs_file = folder / "plan.parquet", folder / "obs.feather"
        plan = make_plan(spec, subset, obs, var, obs_file, obsm)
        if plan.header.has_own_obs:
            store.put(plan.header.obs_path, obs_file)
        write_plan(plan, plan_file)
        store.put(plan_path(spec.name, plan.header.plan_id), plan_file)
    return plan
