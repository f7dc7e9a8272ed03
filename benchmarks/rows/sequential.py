"""The corpus builders: one process, 100,000 and 200,000 cells a file, uncompressed."""

from benchmarks.contenders import Ours, Peer
from benchmarks.rounds import Turn
from benchmarks.rows.bench import WORKERS, Bench
from benchmarks.table import RowResult

ROW = "sequential"
CHUNK_SIZES = {"Tahoe-x1": 100_000, "scGPT": 200_000}


def measure(bench: Bench) -> RowResult:
    """Measures the row: each peer's chunk size, as far as the census goes."""
    result = RowResult()
    for name, chunk_size in CHUNK_SIZES.items():
        cells = bench.facts.first(chunk_size)
        series = bench.runner.alternate(
            f"{ROW}, {chunk_size:,}",
            [
                Turn(name=name, contender=Peer(module="sequential", chunk_size=chunk_size), selection=cells),
                Turn(name="ours", contender=Ours(chunk_size=chunk_size, workers=WORKERS), selection=cells),
                Turn(name="ours, files of 10,000", contender=Ours(chunk_size=10_000, workers=WORKERS), selection=cells),
            ],
        )
        result.series += series.values()
    result.notes.append(
        f"{ROW}: a file as the peer makes it is one worker's work; the last contender makes the same cells in files of "
        "10,000."
    )
    return result
