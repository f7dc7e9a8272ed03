"""100 cells a file, against the pool that opens the Census again for each: here, on S3, and far away."""

from benchmarks.contenders import Ours, Peer
from benchmarks.rounds import Turn, ratio
from benchmarks.rows.bench import WORKERS, Bench
from benchmarks.rows.large_subset import SMALL_N_OBS, measure_large_subset
from benchmarks.stores import CENSUS_BUCKET
from benchmarks.table import Goal, RowResult
from cxg_assets.ingest.storage.feather import ROWS_PER_BATCH

ROW = "small-files"
CHUNK_SIZE = 100

N_OBS_OF_DISTANT_PEER = 2_000
"""With latency the pool is given fewer cells: it does the same for each file, so its speed does not depend on them."""

DISTANT = "s3+30"
MANY = "ours, all cells"


def measure(bench: Bench) -> RowResult:
    """Measures the row."""
    result = RowResult()
    cells = bench.facts.first(bench.n_small_obs)
    few = bench.facts.first(min(N_OBS_OF_DISTANT_PEER, bench.n_small_obs))
    peer = Peer(module="reopening_pool", chunk_size=CHUNK_SIZE, workers=WORKERS)
    ours = Ours(chunk_size=CHUNK_SIZE, workers=WORKERS)
    for source, destination in (("local", "local"), ("s3", "s3"), (DISTANT, "local"), (DISTANT, DISTANT)):
        peer_cells = few if source == DISTANT else cells
        turns = [
            Turn(name="re-opening pool", contender=peer, selection=peer_cells, source=source, destination=destination),
            Turn(name="ours", contender=ours, selection=cells, source=source, destination=destination),
        ]
        n_obs = bench.facts.n_obs
        has_many = source == "local" and n_obs >= ROWS_PER_BATCH
        if has_many:
            # What the pool does for each file is the same for any number; ours also has a start.
            turns.append(Turn(name=MANY, contender=ours, selection=bench.facts.first(n_obs), source=source))
        series = bench.runner.alternate(ROW, turns)
        result.series += series.values()
        if has_many:
            result.goals.append(
                Goal(
                    name=f"100 cells a file, {n_obs:,} cells, local: times the pool",
                    value=ratio(series, MANY, "re-opening pool"),
                    target=25,
                    aim=40,
                    unit="x",
                )
            )
        times = ratio(series, "ours", "re-opening pool")
        if source == "local":
            result.goals.append(
                Goal(name="100 cells a file, local: times the pool", value=times, target=20, aim=30, unit="x")
            )
        if (source, destination) == (DISTANT, "local"):
            ours_requests, peer_requests = (
                series[name].median(lambda m: m.requests_per_cell(CENSUS_BUCKET))
                for name in ("ours", "re-opening pool")
            )
            result.goals += [
                Goal(
                    name="100 cells a file, 30 ms to the source: times the pool, per worker",
                    value=times,
                    target=100,
                    unit="x",
                ),
                Goal(
                    name="100 cells a file, 30 ms to the source: times fewer requests a cell",
                    value=peer_requests / ours_requests,
                    target=50,
                    unit="x",
                ),
            ]
        start = series["re-opening pool"].median(lambda m: m.extra["pool_start_seconds"])
        result.notes.append(
            f"{ROW}, {series['ours'].route}: the pool's clock starts when its actors are ready, {start:.1f} s after "
            "they were asked for; ours is `ingest_seconds`."
        )
    both = measure_large_subset(bench, ROW, result)
    if both is not None:
        small, large = both
        result.goals.append(
            Goal(
                name=f"100 cells a file, a subset of {bench.facts.n_obs:,} cells: times as fast as of {SMALL_N_OBS:,}",
                value=large.cells_per_second / small.cells_per_second,
                target=0.85,
                unit="x",
            )
        )
    return result
