"""Twenty genes by id, all cells, 10,000 a file, against `get_anndata` with the same genes and chunks."""

from benchmarks.contenders import Ours, Peer
from benchmarks.rounds import Turn, ratio
from benchmarks.rows.bench import CHUNK_SIZE, WORKERS, Bench
from benchmarks.table import Goal, RowResult

ROW = "genes"


def measure(bench: Bench) -> RowResult:
    """Measures the row."""
    cells = bench.facts.markers()
    peer = Peer(module="one_open", chunk_size=CHUNK_SIZE)
    series = bench.runner.alternate(
        ROW,
        [
            Turn(name="one open, same genes", contender=peer, selection=cells),
            Turn(name="ours", contender=Ours(chunk_size=CHUNK_SIZE, workers=WORKERS), selection=cells),
        ],
    )
    goal = Goal(
        name="20 genes by id: times get_anndata",
        value=ratio(series, "ours", "one open, same genes"),
        target=2,
        unit="x",
    )
    return RowResult(series=list(series.values()), goals=[goal])
