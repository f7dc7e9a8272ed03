"""From the launch of a run to its first chunk, with a Ray that the run starts; and how much of it is Ray's own."""

import statistics

from benchmarks.contenders import Ours
from benchmarks.measure import run_program
from benchmarks.rounds import Turn
from benchmarks.rows.bench import WORKERS, Bench
from benchmarks.table import Goal, RowResult

ROW = "startup"
CHUNK_SIZE = 1_000


def measure(bench: Bench) -> RowResult:
    """Measures the row."""
    runner = bench.runner
    ours = Ours(chunk_size=CHUNK_SIZE, workers=WORKERS)
    series = runner.alternate(ROW, [Turn(name="ours", contender=ours, selection=bench.facts.first(bench.n_small_obs))])
    floors = []
    for _ in range(runner.rounds):
        file = runner.work / "ray.json"
        floors.append(run_program(["-m", "benchmarks.ray_start", "--json", file], file).result)
    launch = series["ours"].median(lambda m: m.extra["launch_to_first_chunk_seconds"])
    command = series["ours"].median(lambda m: m.extra["command_to_first_chunk_seconds"])
    init, empty, ready = (
        statistics.median(floor[name] for floor in floors)
        for name in ("init_seconds", "empty_actor_seconds", "worker_imports_seconds")
    )
    return RowResult(
        series=list(series.values()),
        goals=[
            Goal(
                name="launch of the run to the first chunk stored", value=launch, target=12, at_least=False, unit=" s"
            ),
        ],
        notes=[
            f"{ROW}: from the start of the command, with index, subset and plan made on the way: {command:.1f} s.",
            f"{ROW}: Ray's own: `ray.init` {init:.1f} s, an empty actor {empty:.1f} s after that; "
            f"an actor that imports what a worker uses {ready:.1f} s after `ray.init`.",
        ],
    )
