"""What the chunks of a subset take, from the cells that are selected: rows of tiles to read, files to write."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cxg_assets.ingest.census.tiles import TILE
from cxg_assets.ingest.chunks.memory import FURTHER_LAYER, OBSM_BYTES, PACKED_BYTES, file_bytes
from cxg_assets.ingest.chunks.report import Costs
from cxg_assets.ingest.chunks.zarr import SHARD
from cxg_assets.ingest.dataset.estimating.reading import FIELD_BYTES, GeneShares, Tiles, read_pass, tiles_of
from cxg_assets.ingest.formats import ZARR
from cxg_assets.ingest.plan.ordering import POOL_NNZ, Pools
from cxg_assets.ingest.plan.passes.cutting import PIECE_NNZ
from cxg_assets.ingest.plan.spans import n_spans
from cxg_assets.ingest.sampling import CENSUS_ORDER, FULLY_SHUFFLED
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherSource
from cxg_assets.ingest.storage.s3_store import n_requests

IN_ORDER = (CENSUS_ORDER, FULLY_SHUFFLED)
"""Orders of which X is read in the order of the Census: of fully shuffled cells the first pass reads it."""

FRAGMENT_REQUESTS = 12
"""Small reads with which a worker meets a fragment; most are answered from what was read ahead."""

DECODED_SECONDS, KEPT_SECONDS, FILE_SECONDS = 40e-9, 20e-9, 0.004
"""CPU of a non-zero that is decoded, of one that is written, and of a file."""

GENE_SECONDS = 250e-9
"""CPU of a gene of each file's gene table."""

FILE_BASE, CELL_BASE = 100_000, 48
"""Bytes of a file without genes and values, and of a cell's obs of eight columns, packed."""

PLAIN_FILE_BASE, PLAIN_CELL_BASE = 500_000, 150
"""The same where nothing is packed."""

ZARR_OBJECTS, ZARR_OBJECTS_PER_COLUMN = 55, 5
"""Objects of a zarr chunk whose values are one shard, and of each obs column."""


@dataclass(frozen=True, kw_only=True)
class CostEstimate:
    """What a subset would take, about.

    Attributes:
        n_bytes: Bytes of its files.
        first_pass: Of fully shuffled cells, what the pieces take.
        chunks: What the chunks take.
    """

    n_bytes: int
    first_pass: Costs
    chunks: Costs

    @property
    def all(self) -> Costs:
        """Both."""
        return Costs.of((self.first_pass, self.chunks))


def estimate_costs(
    spec: SubsetSpec,
    obs: FeatherSource,
    parts: Mapping[str, int],
    *,
    nnz_all: np.ndarray,
    n_obs_census: int,
    n_vars: int,
    n_vars_census: int,
    genes: GeneShares,
    n_features: Sequence[int] = (),
    n_fragments: int = 1,
    n_workers: int = 1,
) -> CostEstimate:
    """Goes through the cells of a subset, one batch after the other.

    Args:
        spec: The subset.
        obs: Its obs file; joinids, nnz and split are read.
        parts: Cells of each part of its split; empty without one.
        nnz_all: (n_tiles,) what `nnz_of_tiles` tells of all cells.
        n_obs_census: Cells of the organism in the Census.
        n_vars: Genes of the files.
        n_vars_census: Genes of the organism.
        genes: What they are of all.
        n_features: Columns of each array of obsm.
        n_fragments: Fragments of X, each of cells of its own.
        n_workers: Workers that share the spans.
    """
    n_gene_tiles = -(-n_vars_census // TILE)
    tiles = tiles_of(obs, max(len(parts), 1), nnz_all, n_obs_census, n_gene_tiles)
    nnz, n_obs = (sum(float(getattr(of_part, name).sum()) for of_part in tiles) for name in ("nnz", "n_obs"))
    n_layers = 1 + len(spec.further_layers)
    values = nnz * genes.kept * n_layers + n_obs * sum(n_features)
    n_files = sum(-(-n // spec.chunk_size) for n in parts.values()) or -(-int(n_obs) // spec.chunk_size)
    if spec.order.kind == FULLY_SHUFFLED:
        tiles, n_passes = tiles_of(obs, 1, nnz_all, n_obs_census, n_gene_tiles), 1
    else:
        n_passes = n_spans(round(nnz), n_workers)
    read = nnz_decoded = 0.0
    ends = [number for of_part in tiles for number in (of_part.number[:1], of_part.number[-1:] + 1)]
    n_met = max(round(n_fragments * float(np.ptp(np.concatenate(ends))) / len(nnz_all)), 1)
    # Where a fragment ends inside of a block there are two of each request.
    n_read = float(n_met * FRAGMENT_REQUESTS * min(n_workers, n_passes) + (n_met - 1) * len(FIELD_BYTES))
    for of_part in tiles:
        for pool in _read_together(spec, of_part, round(nnz), int(n_obs), max(n_passes // len(tiles), 1)):
            decoded, n_bytes, n_requested = read_pass(pool, genes, in_order=spec.order.kind in IN_ORDER)
            nnz_decoded, read, n_read = nnz_decoded + decoded, read + n_bytes, n_read + n_requested
    layers = 1 + FURTHER_LAYER * (n_layers - 1)
    of_obsm = TILE * sum(len(of_part.number) for of_part in tiles) * sum(n_features)
    reading = Costs(
        cpu_seconds=(nnz_decoded * n_layers + of_obsm) * DECODED_SECONDS,
        bytes_read=round(read * layers + of_obsm * OBSM_BYTES),
        read_requests=n_read * n_layers + sum(3 * len(of_part.number) for of_part in tiles) * bool(n_features),
    )
    n_bytes = _file_bytes(spec, round(nnz * genes.kept), n_files, int(n_obs), n_vars, n_layers, sum(n_features))
    writing = Costs(
        cpu_seconds=values * KEPT_SECONDS + n_files * (FILE_SECONDS + n_vars * GENE_SECONDS),
        write_requests=n_files * _requests_of(spec, n_bytes // n_files, values / n_files),
    )
    if spec.order.kind != FULLY_SHUFFLED:
        return CostEstimate(n_bytes=n_bytes, first_pass=Costs(), chunks=Costs.of((reading, writing)))
    n_pieces, n_pools = math.ceil(nnz / PIECE_NNZ), math.ceil(nnz / POOL_NNZ)
    n_arrays = n_layers + len(n_features)
    packing = Costs(cpu_seconds=values * KEPT_SECONDS, write_requests=n_pieces * n_arrays)
    of_pieces = Costs(
        bytes_read=round(values * PACKED_BYTES), read_requests=n_pieces * n_arrays * (n_pools + min(n_workers, n_pools))
    )
    return CostEstimate(n_bytes=n_bytes, first_pass=Costs.of((reading, packing)), chunks=Costs.of((of_pieces, writing)))


def _read_together(spec: SubsetSpec, tiles: Tiles, nnz: int, n_obs: int, n_passes: int) -> Iterator[Tiles]:
    """The rows of tiles that are read in one pass: of each span, or of each pool of shuffled cells.

    A row of tiles in which a pass ends is read in the next one too.
    """
    n = len(tiles.number)
    if spec.order.kind in IN_ORDER:
        order, per_pass = np.arange(n), tiles.nnz.sum() / n_passes
        ends = np.cumsum(tiles.nnz)
    else:
        order = np.random.default_rng(0).permutation(n)
        per_pass = Pools.of(n_obs, nnz, spec.chunk_size).n_obs
        ends = np.cumsum(tiles.n_obs[order])
    first, last = (ends - np.diff(ends, prepend=0)) // per_pass, np.ceil(ends / per_pass).astype(int) - 1
    for number in range(int(last[-1]) + 1 if n else 0):
        yield tiles.take(np.sort(order[(first <= number) & (last >= number)]))


def _file_bytes(
    spec: SubsetSpec, nnz: int, n_files: int, n_obs: int, n_vars: int, n_layers: int, n_features: int
) -> int:
    values = file_bytes(nnz, 0, spec.compression, spec.genes_text, spec.format, n_layers, n_obs * n_features)
    of_genes = file_bytes(0, n_vars, spec.compression, spec.genes_text, spec.format)
    plain = spec.compression == "none"
    per_file, per_cell = (PLAIN_FILE_BASE, PLAIN_CELL_BASE) if plain else (FILE_BASE, CELL_BASE)
    return values + n_files * (of_genes + per_file) + n_obs * per_cell


def _requests_of(spec: SubsetSpec, n_bytes: int, values: float) -> int:
    """Requests that store a file."""
    if spec.format != ZARR:
        return n_requests(n_bytes)
    n_shards = 2 * (math.ceil(values / SHARD) - 1)
    return ZARR_OBJECTS + ZARR_OBJECTS_PER_COLUMN * len(spec.obs_columns or ()) + n_shards
