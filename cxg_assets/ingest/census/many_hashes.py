"""Equal ones among more hashes than should be in memory: spread over files by their value, and counted file by file."""

import contextlib
from pathlib import Path
from types import TracebackType

import numpy as np

from cxg_assets.ingest.census.distinct import n_repeated, sort_cells
from cxg_assets.ingest.storage.scratch import scratch_folder

IN_MEMORY = 1 << 20
"""Hashes that are held at most before they are written: 8 MiB."""

N_FILES = 64
"""Files that hashes are spread over: of 100 million each has 12 MiB, which are in memory when they are counted."""

_ODD = np.uint64(0x9E3779B97F4A7C15)
"""Values that lie near each other are far apart in their first bits when they are multiplied by it."""


class ManyHashes:
    """Counts those that equal another, in a fixed amount of memory and 8 bytes of disk each. A context manager."""

    def __init__(self) -> None:
        self._resources = contextlib.ExitStack()
        self._held: list[np.ndarray] = []
        self._n_held = 0
        self._folder: Path | None = None

    def __enter__(self) -> "ManyHashes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Removes the files."""
        self._held, self._n_held = [], 0
        self._resources.close()

    def add(self, hashes: np.ndarray) -> None:
        """Takes (n,) uint64, which must not be changed any more."""
        self._held.append(hashes)
        self._n_held += len(hashes)
        if self._n_held > IN_MEMORY:
            self._spread()

    def n_repeated(self) -> int:
        """How many equal one that was there before. To be asked for once, at the end."""
        if self._folder is None:
            return _n_repeated(np.concatenate(self._held)) if self._held else 0
        self._spread()
        return sum(_n_repeated(np.fromfile(file, np.uint64)) for file in sorted(self._folder.iterdir()))

    def _spread(self) -> None:
        """Appends what is held to the files."""
        self._folder = self._folder or self._resources.enter_context(scratch_folder())
        for hashes in self._held:
            with np.errstate(over="ignore"):
                file_of = ((hashes * _ODD) >> np.uint64(58)).astype(np.uint8)
            ordered = hashes[np.argsort(file_of, kind="stable")]
            ends = np.cumsum(np.bincount(file_of, minlength=N_FILES))
            for number, part in enumerate(np.split(ordered, ends[:-1])):
                with (self._folder / f"{number:02d}").open("ab") as file:
                    part.tofile(file)
        self._held, self._n_held = [], 0


def _n_repeated(hashes: np.ndarray) -> int:
    sort_cells(hashes)
    return n_repeated(hashes)
