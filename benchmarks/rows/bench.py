"""What every row is given."""

from dataclasses import dataclass

from benchmarks.census_facts import CensusFacts
from benchmarks.contenders import Ceiling, Selection
from benchmarks.rounds import Runner, Turn

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


def ceiling_turns(selection: Selection) -> list[Turn]:
    """A turn for each way to read."""
    kept = Ceiling(processes=2, threads=1, block=4_096, buffer_mib=32, keep_memory=True)
    return [
        Turn(name=name, contender=contender, selection=selection)
        for name, contender in {**CEILINGS, KEPT: kept}.items()
    ]
