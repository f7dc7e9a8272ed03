"""File sizes, against `write_h5ad` without compression: the peers' own files, and files that hold what ours hold."""

from benchmarks.contenders import Ours, Peer
from benchmarks.rounds import Series, Turn
from benchmarks.rows.bench import CHUNK_SIZE, Bench
from benchmarks.table import Goal, RowResult

ROW = "sizes"

N_FILES = 2


def measure(bench: Bench) -> RowResult:
    """Measures the row; once, as sizes do not vary."""
    result = RowResult()
    for chunk_size, target in ((100, 0.45), (CHUNK_SIZE, 0.26)):
        cells = bench.facts.first(chunk_size * N_FILES)
        peers = {
            f"re-opening pool, {chunk_size:,}": Peer(module="reopening_pool", chunk_size=chunk_size),
            f"one open, {chunk_size:,}": Peer(module="one_open", chunk_size=chunk_size),
        }
        turns = [Turn(name=name, contender=peer, selection=cells) for name, peer in peers.items()]
        turns.append(Turn(name=f"ours, {chunk_size:,}", contender=Ours(chunk_size=chunk_size), selection=cells))
        series = bench.runner.alternate(ROW, turns, rounds=1)
        result.series += series.values()
        ours = _size(series[f"ours, {chunk_size:,}"])
        least = min(_size(series[name]) for name in peers)
        result.goals.append(
            Goal(
                name=f"file size at {chunk_size:,} cells, of uncompressed",
                value=ours / least,
                target=target,
                at_least=False,
            )
        )
    result.notes.append(
        f"{ROW}: compared with the smaller of the peers' files, which have fewer var and obs columns than ours."
    )
    return result


def _size(series: Series) -> float:
    return series.measurements[0].mean_file_bytes
