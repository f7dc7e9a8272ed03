"""What is done to X of many cells at once, in threads: genes picked, cells scaled to one sum, the logarithm taken."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxg_assets.training.spare_memory import SpareMemory

PARTS = 32
"""Into so many parts the rows of a buffer are cut, for threads to share them evenly."""

LOG_SLOTS = 4_096


@dataclass(frozen=True, kw_only=True, eq=False)
class Transform:
    """What to do to X.

    Attributes:
        n_vars: Columns of the chunks.
        columns: (n_kept,) int64, the columns that are kept, in the order that is asked for; None keeps all.
        target_sum: Each cell is scaled so that its counts of all genes of the chunks have this sum; None does not.
        log1p: log(1 + x) is taken, after that.
    """

    n_vars: int
    columns: np.ndarray | None = None
    target_sum: float | None = None
    log1p: bool = False

    @property
    def n_kept(self) -> int:
        """Columns that come out."""
        return self.n_vars if self.columns is None else len(self.columns)

    def apply(
        self, indptr: np.ndarray, indices: np.ndarray, data: np.ndarray, threads: Executor, memory: SpareMemory
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Transforms rows; the arrays that are given are used up."""
        from cxg_assets.training import loops

        def share(loop: Callable[..., Any], *arguments: Any) -> None:
            for future in [threads.submit(loop, *part, *arguments) for part in parts]:
                future.result()

        n_rows = len(indptr) - 1
        parts = list(_parts(n_rows))
        sums = np.empty(n_rows)
        if self.target_sum is not None:
            share(loops.sum_rows, indptr, data, sums)
        if self.columns is not None:
            column_of = np.full(self.n_vars, -1, np.int32)
            column_of[self.columns] = np.arange(len(self.columns))
            kept = np.zeros(n_rows + 1, np.int64)
            share(loops.count_kept, indptr, indices, column_of, kept[1:])
            np.cumsum(kept, out=kept)
            kept_indices, kept_data = memory.empty(int(kept[-1]), np.int32), memory.empty(int(kept[-1]), np.float32)
            is_ordered = bool(np.all(np.diff(self.columns) > 0))
            share(loops.keep_columns, indptr, indices, data, column_of, is_ordered, kept, kept_indices, kept_data)
            indptr, indices, data = kept, kept_indices, kept_data
        if self.target_sum is not None:
            share(loops.scale_rows, indptr, data, sums, float(self.target_sum))
        if self.log1p:
            share(loops.log_values, indptr, data, LOG_SLOTS)
        return indptr, indices, data


def _parts(n_rows: int) -> Iterator[tuple[int, int]]:
    """First row and one past the last of each part."""
    edges = np.linspace(0, n_rows, min(PARTS, n_rows) + 1).astype(int).tolist()
    yield from itertools.pairwise(edges)
