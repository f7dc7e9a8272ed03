"""10,000 cells a file, against one open Census, `get_anndata` and `write_h5ad(compression="gzip")`."""

from benchmarks.contenders import Ours, Peer
from benchmarks.rounds import Turn, ratio
from benchmarks.rows.bench import CHUNK_SIZE, WORKERS, Bench
from benchmarks.table import Goal, RowResult

ROW = "big-files"


def measure(bench: Bench) -> RowResult:
    """Measures the row."""
    cells = bench.facts.first()
    one = Peer(module="one_open", chunk_size=CHUNK_SIZE, compression="gzip")
    two = Peer(module="one_open", chunk_size=CHUNK_SIZE, compression="gzip", workers=WORKERS)
    series = bench.runner.alternate(
        ROW,
        [
            Turn(name="one open, gzip", contender=one, selection=cells),
            Turn(name="one open, gzip, 2 processes", contender=two, selection=cells),
            Turn(name="ours", contender=Ours(chunk_size=CHUNK_SIZE, workers=WORKERS), selection=cells),
        ],
    )
    goal = Goal(
        name="10,000 cells a file: times one open Census with gzip",
        value=ratio(series, "ours", "one open, gzip"),
        target=5,
        unit="x",
    )
    return RowResult(series=list(series.values()), goals=[goal])
