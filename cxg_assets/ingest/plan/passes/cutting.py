"""Cuts the cells of a plan for the two passes that shuffle them fully."""

from collections.abc import Sequence

import numpy as np

from cxg_assets.ingest.census.tiles import TILE, cell_nnz
from cxg_assets.ingest.plan.ordering import Pools
from cxg_assets.ingest.plan.passes.two_passes import CELLS, TwoPasses
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, present_columns

PIECE_NNZ = 50_000_000
"""Non-zeros of a piece: 100 MB, which a worker holds twice. More pieces are more requests for each pool."""


def plan_passes(
    obs: FeatherSource, ordered: FeatherSource, n_of_parts: Sequence[int], pools: Pools, seed: int
) -> TwoPasses:
    """Cuts the cells of a plan for both passes.

    Args:
        obs: The subset's obs file, in soma_joinid order.
        ordered: The plan's.
        n_of_parts: Cells of each part; of the whole where there is no split.
        pools: Its pools.
        seed: Of the order.
    """
    from cxg_assets.ingest.choice.draws import hash_cells  # numba

    starts: list[tuple[int, ...]] = []
    with FeatherFile(ordered, columns=["soma_joinid"]) as file:
        start = 0
        for n_obs in n_of_parts:
            firsts = start + pools.first_rows(n_obs)
            joinids = [file.rows(int(row), int(row) + 1)["soma_joinid"][0].as_py() for row in firsts[1:]]
            starts.append((0, *(int(value) for value in hash_cells(np.array(joinids, np.int64), seed, CELLS))))
            start += n_obs
    return TwoPasses(seed=seed, pool_starts=tuple(starts), piece_stops=_cut_pieces(obs))


def _cut_pieces(obs: FeatherSource) -> tuple[int, ...]:
    """One past the last row of each piece: it ends with the row of tiles in which it reaches `PIECE_NNZ`.

    So no tile is decoded for two pieces.
    """
    stops: list[int] = []
    n_rows = n_held = 0
    last_tile = -1
    with FeatherFile(obs, columns=present_columns(obs, ("soma_joinid", "nnz"))) as file:
        for batch in file.batches():
            tiles, nnz = batch["soma_joinid"].to_numpy() // TILE, cell_nnz(batch)
            is_edge = np.diff(tiles, prepend=last_tile) != 0
            starts = np.union1d([0], np.flatnonzero(is_edge))
            for start, stop in zip(starts, np.append(starts[1:], len(tiles)), strict=True):
                if is_edge[start] and n_held >= PIECE_NNZ:
                    stops.append(n_rows + int(start))
                    n_held = 0
                n_held += int(nnz[start:stop].sum())
            n_rows += len(tiles)
            last_tile = int(tiles[-1])
    return (*stops, n_rows)
