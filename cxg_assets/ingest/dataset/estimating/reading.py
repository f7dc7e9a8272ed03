"""What reading rows of tiles of X takes, as the reader and TileDB go about it.

The constants were measured on the demo census, whose arrays are laid out and packed as those of the Census: on other
counts bytes differ.
"""

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.census import X_TILE_BYTES
from cxg_assets.ingest.census.tiles import TILE, cell_nnz
from cxg_assets.ingest.plan.ordering import parts_of
from cxg_assets.ingest.spec import SPLIT
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, present_columns
from cxg_assets.ingest.x.blocks import BLOCK_NNZ
from cxg_assets.ingest.x.reader import SPARSE

FIELD_BYTES = (0.051, 0.975, 0.593)
"""Bytes of a non-zero in the files of a fragment: its cell, its gene, its value. 1.62 together, measured."""

BATCH_BYTES, GAP_BYTES = 20 * 2**20, 500 * 2**10
"""TileDB asks at once for parts of a file that lie within so many bytes, or have a gap of so few between them, and
reads what lies between as well (`vfs.min_batch_size`, `vfs.min_batch_gap`)."""

LOOP_NNZ = X_TILE_BYTES // 2 // 16
"""Non-zeros that TileDB decodes at once: half of its memory for their coordinates, two int64 each. Further ones it asks
for by requests of their own."""

DATA_TILE_NNZ = 65_536
"""Non-zeros of a data tile of X in the Census (its builder's capacity)."""


@dataclass(frozen=True, kw_only=True)
class GeneShares:
    """What the wanted genes are of all, by the non-zeros that they have in the whole Census.

    Attributes:
        kept: Share of the non-zeros that are of wanted genes.
        decoded: Share of those in columns of tiles with a wanted gene.
        first: Share of those in the columns of tiles before the first with one.
        last: Share of those up to the end of the last with one.
    """

    kept: float = 1.0
    decoded: float = 1.0
    first: float = 0.0
    last: float = 1.0

    @classmethod
    def of(cls, kept: pa.Table, var: pa.Table) -> "GeneShares":
        """Those of some genes of var; where var does not tell `nnz`, every gene counts the same."""
        joinids = kept["soma_joinid"].to_numpy()
        joinids = joinids[joinids >= 0]  # padded genes are nowhere
        nnz = var["nnz"].to_numpy().astype(np.float64) if "nnz" in var.schema.names else np.ones(var.num_rows)
        if not len(joinids) or not nnz.sum():
            return cls()
        shares = nnz / nnz.sum()
        of_tiles = np.bincount(var["soma_joinid"].to_numpy() // TILE, shares)
        tiles = np.unique(joinids // TILE)
        first, last = int(tiles[0]), int(tiles[-1]) + 1
        is_slice = last - first <= SPARSE * len(tiles)
        return cls(
            kept=float(shares[np.isin(var["soma_joinid"].to_numpy(), joinids)].sum()),
            decoded=float(of_tiles[first:last].sum() if is_slice else of_tiles[tiles].sum()),
            first=float(of_tiles[:first].sum()),
            last=float(of_tiles[:last].sum()),
        )


@dataclass(frozen=True, eq=False)
class Tiles:
    """Rows of tiles with wanted cells, each (n,): number (ascending), wanted cells, their non-zeros, those to read."""

    number: np.ndarray
    n_obs: np.ndarray
    nnz: np.ndarray
    nnz_read: np.ndarray

    def take(self, chosen: np.ndarray) -> "Tiles":
        """Some of them."""
        return Tiles(*(values[chosen] for values in (self.number, self.n_obs, self.nnz, self.nnz_read)))


def nnz_of_tiles(cells: FeatherSource, n_obs_census: int) -> np.ndarray:
    """Non-zeros of each row of tiles of the Census, (n_tiles,), as the cells of a file in order have them."""
    nnz = np.zeros(-(-n_obs_census // TILE))
    with FeatherFile(cells, columns=present_columns(cells, ("soma_joinid", "nnz"))) as file:
        for batch in file.batches():
            _add(nnz, batch["soma_joinid"].to_numpy() // TILE, cell_nnz(batch))
    return nnz


def tiles_of(
    obs: FeatherSource, n_parts: int, nnz_all: np.ndarray, n_obs_census: int, n_gene_tiles: int
) -> "list[Tiles]":
    """The rows of tiles of each part."""
    n_tiles = len(nnz_all)
    n_obs, nnz = np.zeros((2, n_parts, n_tiles))
    low, high = np.full((n_parts, n_tiles), n_obs_census), np.zeros((n_parts, n_tiles), np.int64)
    with FeatherFile(obs, columns=present_columns(obs, ("soma_joinid", "nnz", SPLIT))) as file:
        for batch in file.batches():
            joinids, of_cells = batch["soma_joinid"].to_numpy(), cell_nnz(batch)
            parts = parts_of(batch) if n_parts > 1 else np.zeros(batch.num_rows, np.int64)
            for part in range(n_parts):
                is_here = parts == part
                here = joinids[is_here]
                tiles = here // TILE
                _add(n_obs[part], tiles, np.ones(len(here)))
                _add(nnz[part], tiles, of_cells[is_here])
                edges = np.flatnonzero(np.diff(tiles, prepend=-1))
                ends = np.append(edges[1:], len(here)) - 1
                low[part, tiles[edges]] = np.minimum(low[part, tiles[edges]], here[edges])
                high[part, tiles[edges]] = np.maximum(high[part, tiles[edges]], here[ends])
    starts = np.arange(n_tiles) * TILE
    stops = np.minimum(starts + TILE, n_obs_census)
    # A tile is stored as data tiles of so many non-zeros, row by row: of one with few wanted rows not all are read.
    per_data_tile = np.minimum(DATA_TILE_NNZ * n_gene_tiles / np.maximum(nnz_all, 1), 1)
    n_ragged = (low > starts).astype(int) + (high < stops - 1)
    share = np.minimum((high - low + 1) / (stops - starts) + n_ragged * per_data_tile / 2, 1)
    found = [np.flatnonzero(of_part) for of_part in n_obs]
    return [Tiles(here, n_obs[k, here], nnz[k, here], (nnz_all * share[k])[here]) for k, here in enumerate(found)]


def _add(sums: np.ndarray, tiles: np.ndarray, values: np.ndarray) -> None:
    """Adds values of cells, in order, to the sums of their tiles."""
    if len(tiles):
        of_tiles = np.bincount(tiles - tiles[0], values)
        sums[tiles[0] : tiles[0] + len(of_tiles)] += of_tiles


def read_pass(tiles: Tiles, genes: GeneShares, *, in_order: bool) -> tuple[float, float, float]:
    """Non-zeros decoded, bytes read, and requests of one pass."""
    decoded = read = n_read = 0.0
    expected = np.cumsum(tiles.nnz * genes.decoded)
    start, n = 0, len(tiles.number)
    while start < n:
        before = expected[start - 1] if start else 0.0
        if in_order:
            stop = max(int(np.searchsorted(expected, before + BLOCK_NNZ, side="right")), start + 1)
        else:
            gaps = np.flatnonzero(np.diff(tiles.number[start:]) != 1)
            full = int(np.searchsorted(expected, before + BLOCK_NNZ)) + 1
            stop = min(full, start + int(gaps[0]) + 1 if len(gaps) else n, n)
        block = tiles.take(np.arange(start, stop))
        n_covered = int(block.number[-1] - block.number[0]) + 1
        nnz, number = block.nnz_read, block.number
        if len(number) < n_covered <= SPARSE * len(number):
            nnz, number = np.full(n_covered, nnz.mean()), np.arange(number[0], number[-1] + 1)
        of_block = float(nnz.sum()) * genes.decoded
        decoded += of_block
        n_read += (math.ceil(of_block / LOOP_NNZ) - 1) * len(FIELD_BYTES)
        for per_nnz in FIELD_BYTES:
            n_bytes, n_batches = _batches(number, nnz * per_nnz, genes)
            read, n_read = read + n_bytes, n_read + n_batches
        start = stop
    return decoded, read, n_read


def _batches(number: np.ndarray, n_bytes: np.ndarray, genes: GeneShares) -> tuple[float, int]:
    """Bytes and requests for the wanted genes of rows of tiles in one file."""
    usual = float(n_bytes.mean())
    read, n_batches = 0.0, 0
    begins = ends = place = 0.0
    before = int(number[0]) - 1
    for tile, of_row in zip(number.tolist(), n_bytes.tolist(), strict=True):
        place += (tile - before - 1) * usual
        first, last = place + of_row * genes.first, place + of_row * genes.last
        if n_batches and (last - begins <= BATCH_BYTES or first - ends <= GAP_BYTES):
            ends = last
        else:
            read, n_batches = read + ends - begins, n_batches + 1
            begins, ends = first, last
        place, before = place + of_row, tile
    return read + ends - begins, n_batches
