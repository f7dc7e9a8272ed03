"""Memory that is used again as soon as nobody looks at it.

The kernel clears fresh memory: 2.5 of some 35 microseconds of CPU a cell (measured). What was a buffer is the next one
but one, unless somebody still holds a batch of it.
"""

import weakref

import numpy as np

SLACK = 1.15
"""Buffers have more or fewer non-zeros: an array is made so much larger than it is needed at first."""


class SpareMemory:
    """Arrays whose memory comes back by itself when the last view of them is gone, in whatever thread that is."""

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []

    def empty(self, n: int, dtype: type) -> np.ndarray:
        """An array as of numpy.empty."""
        n_bytes = n * np.dtype(dtype).itemsize
        memory = self._taken(n_bytes)
        # Of an array on a memoryview numpy lets every view keep that array, and not what is below it alive.
        array = np.frombuffer(memory.data, dtype, n) if n else np.empty(0, dtype)
        weakref.finalize(array, self._free.append, memory).atexit = False
        return array

    def _taken(self, n_bytes: int) -> np.ndarray:
        too_small: list[np.ndarray] = []
        while self._free:
            memory = self._free.pop()
            if len(memory) >= n_bytes:
                self._free += too_small
                return memory
            too_small.append(memory)
        # What was too small once will be again: it goes, so that no more is kept than is in use.
        return np.empty(int(n_bytes * SLACK), np.uint8)
