"""What every row is given."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.census_facts import CensusFacts
from benchmarks.contenders import Ceiling, Ours, Peer, Selection
from benchmarks.rounds import Runner, Turn, ratio
from benchmarks.table import Goal, RowResult

WORKERS = 2
CHUNK_SIZE = 10_000

CEILINGS = {
    "ceiling, 2 processes, blocks of 8,192": Ceiling(processes=2, threads=1, block=8_192, buffer_mib=32),
    "ceiling, 2 processes, blocks of 4,096": Ceiling(processes=2, threads=1, block=4_096, buffer_mib=32),
    "ceiling, 1 process, 2 threads, blocks of 16,384": Ceiling(processes=1, threads=2, block=16_384, buffer_mib=256),
    "ceiling, 1 process, 2 threads, all at once": Ceiling(processes=1, threads=2, block=2**40, buffer_mib=1_024),
}
"""Ways to read: the fastest is the ceiling. The last is `X.read` with cellxgene_census's own buffer."""

KEPT = "2 processes, blocks of 4,096, memory kept"
"""`X.read` with the memory settings of our workers. Nobody who calls it has them, so it is told beside the ceiling."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What every row is given.

    Attributes:
        runner: Runs contenders.
        facts: The census.
        n_index_obs: Rows of the census made for the index.
        n_small_obs: Cells of the rows about files of 100 cells and about the start.
    """

    runner: Runner
    facts: CensusFacts
    n_index_obs: int
    n_small_obs: int


def against_peers(
    bench: Bench, row: str, peers: Mapping[str, Peer], selection: Selection, *, goal: str, target: float
) -> RowResult:
    """Measures ours against peers at `CHUNK_SIZE` cells a file, local.

    Args:
        bench: What every row is given.
        row: Name of the row.
        peers: By name; the goal is how many times as fast ours is as the first.
        selection: The cells and genes.
        goal: Name of the goal.
        target: What must be reached.
    """
    contenders = {**peers, "ours": Ours(chunk_size=CHUNK_SIZE, workers=WORKERS)}
    turns = [Turn(name=name, contender=contender, selection=selection) for name, contender in contenders.items()]
    series = bench.runner.alternate(row, turns)
    value = ratio(series, "ours", next(iter(peers)))
    return RowResult(series=list(series.values()), goals=[Goal(name=goal, value=value, target=target, unit="x")])


def ceiling_turns(selection: Selection) -> list[Turn]:
    """A turn for each way to read."""
    kept = Ceiling(processes=2, threads=1, block=4_096, buffer_mib=32, keep_memory=True)
    return [
        Turn(name=name, contender=contender, selection=selection)
        for name, contender in {**CEILINGS, KEPT: kept}.items()
    ]
