"""Arrays of obsm: dense, rows of cells, in chunks that are packed as the rows arrive."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cxg_assets.ingest.chunks.zarr.nodes import Json, array_node, number_codecs, pack_numbers

VALUES = 2**22
"""Values of a chunk, as far as whole rows go: 16 MiB of float32."""


class RowChunks:
    """A dense array in the making.

    What is in which chunk depends on the values alone, not on how they were cut by the calls to `append`.
    """

    def __init__(self, n_columns: int, dtype: np.dtype, compression: str, largest: int) -> None:
        """Begins; `largest` are the rows of the largest such array, which a chunk need not be longer than."""
        self._shape = (max(min(VALUES // n_columns, largest), 1), n_columns)
        self._dtype, self._compression = dtype, compression
        self._rest = np.empty((0, n_columns), dtype)
        self._n_rows = self._n_chunks = 0

    def append(self, values: np.ndarray) -> Iterator[tuple[str, bytes]]:
        """Adds rows, (n, n_columns); gives each chunk that is whole, with its name."""
        self._n_rows += len(values)
        values = np.concatenate([self._rest, values]) if len(self._rest) else values
        while len(values) >= self._shape[0]:
            yield self._next(values[: self._shape[0]])
            values = values[self._shape[0] :]
        # A copy, so that a short rest does not keep a large array alive.
        self._rest = values.copy()

    def finish(self, attributes: Mapping[str, Any]) -> tuple[Json, dict[str, bytes]]:
        """The node, and the last chunk by name, if there is one."""
        codecs = number_codecs(self._dtype, self._compression)
        shape = (self._n_rows, self._shape[1])
        node = array_node(shape, self._dtype.name, 0.0, self._shape, codecs, attributes)
        if not len(self._rest):
            return node, {}
        padded = np.zeros(self._shape, self._dtype)
        padded[: len(self._rest)] = self._rest
        return node, dict([self._next(padded)])

    def _next(self, values: np.ndarray) -> tuple[str, bytes]:
        self._n_chunks += 1
        return f"c/{self._n_chunks - 1}/0", pack_numbers(values, self._compression)
