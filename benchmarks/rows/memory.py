"""Peak memory: of a worker at the defaults, and of the driver as the number of chunks grows."""

from benchmarks.contenders import Ours, Selection
from benchmarks.rounds import Series, Turn
from benchmarks.rows.bench import CHUNK_SIZE, WORKERS, Bench
from benchmarks.rows.large_subset import measure_large_subset
from benchmarks.table import Goal, RowResult

ROW = "memory"

FEW, MANY = 100, 5_000
"""Chunks of the two runs that show how the driver grows: one cell and twenty genes each, since only chunks count."""

TIMEOUT_SECONDS = 3_600


def measure(bench: Bench) -> RowResult:
    """Measures the row; once each, as peaks hardly vary."""
    turns = [
        Turn(name="ours, defaults", contender=Ours(chunk_size=CHUNK_SIZE, workers=None), selection=bench.facts.first())
    ]
    for n_chunks in (FEW, MANY):
        markers = bench.facts.markers()
        cells = Selection(joinids=markers.joinids[:n_chunks], max_obs=n_chunks, feature_ids=markers.feature_ids)
        contender = Ours(chunk_size=1, workers=WORKERS, timeout_seconds=TIMEOUT_SECONDS)
        turns.append(Turn(name=f"ours, {n_chunks:,} chunks", contender=contender, selection=cells))
    series = bench.runner.alternate(ROW, turns, rounds=1)
    growth = _driver_mib(series[f"ours, {MANY:,} chunks"]) - _driver_mib(series[f"ours, {FEW:,} chunks"])
    worker = series["ours, defaults"].median(lambda m: m.usage.worker_peak_bytes)
    goals = [
        Goal(
            name="peak memory of a worker at the defaults",
            value=worker / 2**30,
            target=1.0,
            at_least=False,
            unit=" GiB",
        ),
        Goal(
            name=f"growth of the driver, {FEW:,} to {MANY:,} chunks",
            value=growth,
            target=50,
            at_least=False,
            unit=" MiB",
        ),
    ]
    result = RowResult(series=list(series.values()), goals=goals)
    both = measure_large_subset(bench, ROW, result, rounds=1)
    if both is not None:
        peak = both[1].median(lambda m: m.usage.worker_peak_bytes)
        name = f"peak memory of a worker, 100 cells a file, a subset of {bench.facts.n_obs:,} cells"
        result.goals.append(Goal(name=name, value=peak / 2**30, target=1.0, at_least=False, unit=" GiB"))
    return result


def _driver_mib(series: Series) -> float:
    return series.median(lambda m: m.usage.driver_peak_bytes) / 2**20
