"""Twenty genes by id, all cells, 10,000 a file, against `get_anndata` with the same genes and chunks."""

from benchmarks.contenders import Peer
from benchmarks.rows.bench import CHUNK_SIZE, Bench, against_peers
from benchmarks.table import RowResult

ROW = "genes"


def measure(bench: Bench) -> RowResult:
    """Measures the row."""
    peers = {"one open, same genes": Peer(module="one_open", chunk_size=CHUNK_SIZE)}
    goal = "20 genes by id: times get_anndata"
    return against_peers(bench, ROW, peers, bench.facts.markers(), goal=goal, target=2)
