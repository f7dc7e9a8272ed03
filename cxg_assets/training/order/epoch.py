"""The order of the cells of an epoch, and which of them come to whom.

An epoch is a row of runs: cells that lie side by side in a file. Shuffled, the runs come in a random order, and who
reads them mixes those that it holds at the same time. Everything here follows from a few numbers, so that whoever has
them knows the whole epoch, and can begin anywhere in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cxg_assets.training.order.draws import PHASE, RUNS, hashes, shuffled


@dataclass(frozen=True, eq=False)
class Piece:
    """Cells of one chunk that are read at once.

    Attributes:
        file: Number of the chunk.
        rows: (n,) int64, rows of the chunk, ascending; one may be there more than once.
    """

    file: int
    rows: np.ndarray


class Epoch:
    """The cells of an epoch in the order in which they are read."""

    def __init__(
        self,
        n_obs: Sequence[int],
        run_size: int,
        seed: int,
        epoch: int,
        *,
        shuffle: bool,
        counts: np.ndarray | None = None,
    ) -> None:
        """Cuts files into runs, and orders them.

        Args:
            n_obs: Cells of each file.
            run_size: Cells of a run; that at an edge of a file has fewer.
            seed: Of the user.
            epoch: Number of the epoch.
            shuffle: Runs in a random order.
            counts: (sum of n_obs,) how often each cell comes; None is once.
        """
        ends = np.cumsum(np.asarray(n_obs, np.int64))
        phase = int(hashes(1, seed, epoch, PHASE)[0] % np.uint64(run_size)) if shuffle else 0
        cuts = np.unique(np.concatenate([np.arange(phase, ends[-1], run_size), ends, [0]]))
        starts, stops = cuts[:-1], cuts[1:]
        if shuffle:
            order = shuffled(len(starts), seed, epoch, RUNS)
            starts, stops = starts[order], stops[order]
        self._starts = starts
        self._file_ends = ends
        self._counts = counts
        before = np.arange(ends[-1] + 1) if counts is None else np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self._run_ends = np.cumsum(before[stops] - before[starts])
        self._stops = stops

    @property
    def n_cells(self) -> int:
        """Cells that it hands out."""
        return int(self._run_ends[-1])

    def pieces(self, start: int, stop: int) -> list[Piece]:
        """What lies at places start … stop-1 of the epoch, run by run."""
        pieces: list[Piece] = []
        first, last = np.searchsorted(self._run_ends, [start, stop - 1], side="right") if stop > start else (0, -1)
        for run in range(int(first), int(last) + 1):
            begin = int(self._run_ends[run - 1]) if run else 0
            rows = np.arange(self._starts[run], self._stops[run])
            if self._counts is not None:
                rows = np.repeat(rows, self._counts[rows])
            rows = rows[max(start - begin, 0) : stop - begin]
            if len(rows):
                file = int(np.searchsorted(self._file_ends, rows[0], side="right"))
                pieces.append(Piece(file, rows - (int(self._file_ends[file - 1]) if file else 0)))
        return pieces


@dataclass(frozen=True, kw_only=True)
class Share:
    """The part of an epoch that one of several readers gets, and its batches.

    Readers get parts of which the sizes differ by one cell at most, and all of them the same number of batches, so
    that none waits for another at the end.

    Attributes:
        n_cells: Cells of the epoch.
        batch_size: Cells of a batch.
        number: Of this reader, from 0.
        n_readers: Readers together.
        drop_last: All batches are full; what is left over is not handed out. Else the last batch of each is shorter,
            and the epoch has every cell.
    """

    n_cells: int
    batch_size: int
    number: int
    n_readers: int
    drop_last: bool

    @property
    def n_batches(self) -> int:
        """Batches of each reader."""
        if self.drop_last:
            return self.n_cells // self.n_readers // self.batch_size
        most = (self.n_cells + self.n_readers - 1) // self.n_readers
        return (most + self.batch_size - 1) // self.batch_size

    def edge(self, batch: int) -> int:
        """Where in the epoch a batch of this reader begins; that of `n_batches` is where the last one ends."""
        start = self.n_cells * self.number // self.n_readers
        if self.drop_last:
            return start + batch * self.batch_size
        n_own = self.n_cells * (self.number + 1) // self.n_readers - start
        # A reader with one cell fewer than others may have too few for the last batch: it gets one of the batch before.
        own = n_own if batch == self.n_batches else min(batch * self.batch_size, n_own - (self.n_batches - batch))
        return start + max(own, 0)
