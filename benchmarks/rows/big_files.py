"""10,000 cells a file, against one open Census, `get_anndata` and `write_h5ad(compression="gzip")`."""

from benchmarks.contenders import Peer
from benchmarks.rows.bench import CHUNK_SIZE, WORKERS, Bench, against_peers
from benchmarks.table import RowResult

ROW = "big-files"


def measure(bench: Bench) -> RowResult:
    """Measures the row."""
    peers = {
        "one open, gzip": Peer(module="one_open", chunk_size=CHUNK_SIZE, compression="gzip"),
        "one open, gzip, 2 processes": Peer(
            module="one_open", chunk_size=CHUNK_SIZE, compression="gzip", workers=WORKERS
        ),
    }
    goal = "10,000 cells a file: times one open Census with gzip"
    return against_peers(bench, ROW, peers, bench.facts.first(), goal=goal, target=5)
