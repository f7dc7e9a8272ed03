"""What was decoded is told beside what the plan expected, chunk by chunk."""

from dataclasses import replace

import numpy as np
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.census.tiles import TILE
from cxg_assets.ingest.chunks.amplification import decoding
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.plan.chunk_plan import Chunk
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingested import Ingested

CHUNK = Chunk(
    key="", row_start=0, row_stop=500, nnz=50_000, n_tiles=1, first_joinid=0, last_joinid=0, fingerprint="f" * 64
)


def chunk(number: int, first: int, last: int, n_tiles: int) -> Chunk:
    return replace(CHUNK, key=f"{number:05d}", first_joinid=first, last_joinid=last, n_tiles=n_tiles)


def of(chunk: Chunk, like: ChunkReport, nnz_decoded: int) -> ChunkReport:
    return replace(like, chunk=chunk.key, nnz_decoded=nnz_decoded)


def test_chunks_that_share_a_tile_share_its_cells(blood: Ingested) -> None:
    chunks = [
        chunk(0, 0, 900, 1),
        chunk(1, 950, TILE - 1, 1),
        chunk(2, TILE, 4 * TILE + 3, 3),  # of the five rows of tiles, two hold nothing of it
        chunk(3, 4 * TILE + 9, 4 * TILE + 500, 1),
    ]

    made = decoding(chunks, [of(c, blood.reports[0], 75_000) for c in reversed(chunks)])

    assert made.n_obs_expected.tolist() == [TILE / 2, TILE / 2, 2.5 * TILE, TILE / 2]
    assert made.amplification_expected == 4 * TILE / 2_000
    assert made.amplification == 1.5


def test_the_expected_cells_of_all_chunks_are_those_of_the_plan(blood: Ingested) -> None:
    made = decoding(blood.plan.chunks, blood.reports)

    assert made.amplification_expected == pytest.approx(blood.plan.amplification)


def test_chunks_of_which_nothing_is_told_are_left_out(blood: Ingested) -> None:
    reports = [replace(report, nnz_decoded=0) for report in blood.reports]

    made = decoding(blood.plan.chunks, [*reports[1:], blood.reports[0]])

    assert made.n_obs.tolist() == [blood.plan.chunks[0].n_obs]
    assert decoding(blood.plan.chunks, reports).amplification == 0.0


def test_a_worker_counts_the_non_zeros_of_the_whole_tiles_that_it_decoded(
    ingest: Ingest, spec: type, store_url: str, census: soma.Collection
) -> None:
    """100 cells at the beginning: TileDB decodes the data tiles of the first row of tiles that hold any of theirs."""
    made = ingest(spec(max_obs=100, chunk_size=50, genes=None), store_url)

    x = census["census_data"]["homo_sapiens"].ms["RNA"].X["raw"]
    in_tile = len(x.read((slice(0, TILE - 1),)).coos().concat().to_scipy().data)
    counted = sum(report.nnz_decoded for report in made.reports)
    wanted = sum(report.nnz for report in made.reports)
    assert wanted < counted
    # The tiles of two fragments meet in the first row, and a data tile may reach beyond the cells of its fragment.
    assert counted <= 1.1 * in_tile
    assert np.ptp([report.nnz_decoded for report in made.reports]) <= 1
