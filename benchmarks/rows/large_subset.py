"""Files of 100 cells out of a subset of more cells than a batch of an index has, beside the same out of a small one.

What a file costs must not depend on the subset it is a part of. Only some of the chunks are made: whole spans, as the
command cuts them, with our workers alone.
"""

from benchmarks.contenders import Engine
from benchmarks.rounds import Series, Turn
from benchmarks.rows.bench import WORKERS, Bench
from benchmarks.table import RowResult
from cxg_assets.ingest.storage.feather import ROWS_PER_BATCH

CHUNK_SIZE = 100
N_CHUNKS = 600
"""Chunks that are made at least; a span of the demo census has some 180."""

SMALL_N_OBS = 16_384


def measure_large_subset(bench: Bench, row: str, result: RowResult, rounds: int | None = None) -> list[Series] | None:
    """Measures both, and adds them to a row.

    Args:
        bench: What every row is given.
        row: The row they are a part of.
        result: Of the row; says so where the census has too few cells.
        rounds: How often; None for as often as all.

    Returns:
        The small subset and the large one; None where the census has too few cells.
    """
    n_obs = bench.facts.n_obs
    if n_obs < ROWS_PER_BATCH:
        result.notes.append(f"{row}: not measured with a subset of {ROWS_PER_BATCH:,} cells: the census has {n_obs:,}.")
        return None
    turns = [
        Turn(
            name=f"engine alone, subset of {n:,}",
            contender=Engine(chunk_size=CHUNK_SIZE, workers=WORKERS, n_chunks=N_CHUNKS),
            selection=bench.facts.first(n),
        )
        for n in (SMALL_N_OBS, n_obs)
    ]
    series = list(bench.runner.alternate(row, turns, rounds).values())
    result.series += series
    return series
