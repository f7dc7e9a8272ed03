"""The rows of the table: each asks one question and says what must come out."""

from collections.abc import Callable

from benchmarks.rows import (
    big_files,
    ceiling,
    genes,
    index,
    memory,
    random_cells,
    scaling,
    sequential,
    sizes,
    small_files,
    startup,
)
from benchmarks.rows.bench import Bench
from benchmarks.table import RowResult

ROWS: dict[str, Callable[[Bench], RowResult]] = {
    "small-files": small_files.measure,
    "big-files": big_files.measure,
    "ceiling": ceiling.measure,
    "genes": genes.measure,
    "random": random_cells.measure,
    "sizes": sizes.measure,
    "memory": memory.measure,
    "startup": startup.measure,
    "index": index.measure,
    "sequential": sequential.measure,
    "scaling": scaling.measure,
}
"""By name, in the order in which they run."""

__all__ = ["ROWS", "Bench"]
