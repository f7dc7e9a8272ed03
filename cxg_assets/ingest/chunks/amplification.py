"""Read overhead: how much of X was decoded for the cells that were kept, against what the plan expected."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cxg_assets.ingest.census.tiles import TILE
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.plan.chunk_plan import Chunk


@dataclass(frozen=True, eq=False)
class Decoding:
    """What was decoded for some chunks; arrays of one element a chunk, in plan order.

    X is stored in tiles of `reader.TILE` cells, and TileDB decodes whole ones. Its own count is of non-zeros; divided
    by those that are expected of the chunk's cells it says the same as the plan's amplification does of cells.

    Attributes:
        n_obs: (n,) int64, cells wanted.
        n_obs_expected: (n,) float64, cells of the tiles that hold them; chunks that share a tile share its cells.
        nnz_wanted: (n,) int64, non-zeros that obs expects of the cells wanted, in all genes.
        nnz_decoded: (n,) int64, non-zeros that TileDB decoded. Less than wanted where few genes are.
    """

    n_obs: np.ndarray
    n_obs_expected: np.ndarray
    nnz_wanted: np.ndarray
    nnz_decoded: np.ndarray

    @property
    def amplification_expected(self) -> float:
        """Cells expected to be decoded, for each cell wanted; 0 for no chunks."""
        return float(self.n_obs_expected.sum() / max(self.n_obs.sum(), 1))

    @property
    def amplification(self) -> float:
        """Non-zeros decoded, for each non-zero of the cells wanted; 0 for no chunks."""
        return float(self.nnz_decoded.sum() / max(self.nnz_wanted.sum(), 1))


def decoding(chunks: Sequence[Chunk], reports: Sequence[ChunkReport]) -> Decoding:
    """What is known of the chunks (in plan order) whose worker told what was decoded; their reports in any order."""
    decoded = {report.chunk: report.nnz_decoded for report in reports if report.nnz_decoded}
    told = [chunk for chunk in chunks if chunk.key in decoded]
    return Decoding(
        n_obs=np.array([chunk.n_obs for chunk in told], np.int64),
        n_obs_expected=_tiles(told) * TILE,
        nnz_wanted=np.array([chunk.nnz for chunk in told], np.int64),
        nnz_decoded=np.array([decoded[chunk.key] for chunk in told], np.int64),
    )


def _tiles(chunks: Sequence[Chunk]) -> np.ndarray:
    """Rows of tiles of each chunk, (n,) float64. Only its first and its last can be another chunk's too."""
    first, last, n_tiles = (
        np.array([getattr(chunk, name) for chunk in chunks], np.int64)
        for name in ("first_joinid", "last_joinid", "n_tiles")
    )
    first, last = first // TILE, last // TILE
    ends = np.concatenate([first, last[last != first]])
    tiles, n_sharing = np.unique(ends, return_counts=True)
    share = 1 / n_sharing
    of_first, of_last = share[np.searchsorted(tiles, first)], share[np.searchsorted(tiles, last)]
    return np.where(first == last, of_first, n_tiles - 2 + of_first + of_last)
