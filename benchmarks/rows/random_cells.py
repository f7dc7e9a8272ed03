"""A random tenth of the cells: how near ours comes to reading the same points alone."""

from benchmarks.contenders import Engine, Ours
from benchmarks.rounds import Turn
from benchmarks.rows.bench import CHUNK_SIZE, WORKERS, Bench, ceiling_turns
from benchmarks.rows.ceiling import ceiling_notes, share_of_ceiling
from benchmarks.table import Goal, RowResult

ROW = "random"
SHARE = 0.1


def measure(bench: Bench) -> RowResult:
    """Measures the row."""
    cells = bench.facts.random(SHARE)
    # Files small enough that two workers have something to share.
    chunk_size = min(CHUNK_SIZE, max(len(cells.joinids) // 8, 100))
    series = bench.runner.alternate(
        ROW,
        [
            *ceiling_turns(cells),
            Turn(name="ours", contender=Ours(chunk_size=chunk_size, workers=WORKERS), selection=cells),
            Turn(name="engine alone", contender=Engine(chunk_size=chunk_size, workers=WORKERS), selection=cells),
        ],
    )
    for one in series.values():
        if one.measurements[0].n_obs != len(cells.joinids):
            raise RuntimeError(f"{one.contender} read {one.measurements[0].n_obs} cells of {len(cells.joinids)}")
    goal = Goal(
        name="a random 10% of the cells: share of the decode ceiling",
        value=share_of_ceiling(series, "ours"),
        target=0.6,
    )
    notes = [
        f"{ROW}: {len(cells.joinids):,} cells, {chunk_size:,} a file.",
        *ceiling_notes(ROW, series),
    ]
    return RowResult(series=list(series.values()), goals=[goal], notes=notes)
