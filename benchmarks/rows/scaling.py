"""How cost grows: with cells, chunk size, workers, latency, and sparsity of the selection. Ours only."""

from benchmarks.contenders import Ours
from benchmarks.rounds import Turn
from benchmarks.rows.bench import CHUNK_SIZE, WORKERS, Bench
from benchmarks.table import RowResult

ROW = "scaling"


def measure(bench: Bench) -> RowResult:
    """Measures the row: one thing changes at a time."""
    facts = bench.facts
    default = Ours(chunk_size=CHUNK_SIZE, workers=WORKERS)
    n_obs = [facts.n_obs // part for part in (8, 4, 2, 1)]
    turns = [Turn(name=f"ours, {n:,} cells", contender=default, selection=facts.first(n)) for n in n_obs]
    middle = facts.first(facts.n_obs // 4)
    turns += [
        Turn(name=f"ours, {size:,} cells a file", contender=Ours(chunk_size=size, workers=WORKERS), selection=middle)
        for size in (100, 1_000, 10_000, 30_000)
    ]
    turns += [
        Turn(name=f"ours, {n} workers", contender=Ours(chunk_size=2_000, workers=n), selection=middle)
        for n in (1, 2, 4)
    ]
    turns += [
        Turn(name=f"ours, {ms} ms to the source", contender=default, selection=middle, source=f"s3+{ms}")
        for ms in (0, 10, 30, 100)
    ]
    turns += [
        Turn(
            name=f"ours, a random {share:.0%}",
            contender=Ours(chunk_size=1_000, workers=WORKERS),
            selection=facts.random(share),
        )
        for share in (0.5, 0.1, 0.01)
    ]
    series = bench.runner.alternate(ROW, turns)
    return RowResult(series=list(series.values()))
