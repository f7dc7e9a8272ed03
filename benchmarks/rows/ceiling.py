"""How near ours comes to reading alone, at 10,000 cells a file and two workers."""

from benchmarks.contenders import Engine, Ours
from benchmarks.rounds import Series, Turn
from benchmarks.rows.bench import CEILINGS, CHUNK_SIZE, KEPT, WORKERS, Bench, ceiling_turns
from benchmarks.table import Goal, RowResult

ROW = "ceiling"


def measure(bench: Bench) -> RowResult:
    """Measures the row."""
    cells = bench.facts.first()
    series = bench.runner.alternate(
        ROW,
        [
            *ceiling_turns(cells),
            Turn(name="ours", contender=Ours(chunk_size=CHUNK_SIZE, workers=WORKERS), selection=cells),
            Turn(name="engine alone", contender=Engine(chunk_size=CHUNK_SIZE, workers=WORKERS), selection=cells),
        ],
    )
    goal = Goal(
        name="share of the decode ceiling, 10,000 cells a file",
        value=share_of_ceiling(series, "ours"),
        target=0.6,
        aim=0.8,
    )
    return RowResult(series=list(series.values()), goals=[goal], notes=ceiling_notes(ROW, series))


def share_of_ceiling(series: dict[str, Series], ours: str) -> float:
    """Speed of ours over that of the fastest way to read."""
    return series[ours].cells_per_second / max(series[name].cells_per_second for name in CEILINGS)


def ceiling_notes(row: str, series: dict[str, Series]) -> list[str]:
    """What the engine alone reaches, and the share of what reading would do with our workers' memory settings."""
    kept = series[KEPT].cells_per_second
    return [
        f"{row}: the engine alone reaches {share_of_ceiling(series, 'engine alone'):.2f} of the ceiling.",
        f"{row}: `X.read` with the memory settings of our workers does {kept:,.0f} cells/s; "
        f"ours reaches {series['ours'].cells_per_second / kept:.2f} of that.",
    ]
