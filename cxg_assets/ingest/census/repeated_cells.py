"""Whether a cell of the Discover corpus is there twice, found while obs passes by, and kept in the index itself.

In the file, as what was found is true of these rows only: whoever writes others in their place leaves it behind.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.distinct import n_repeated, sort_cells
from cxg_assets.ingest.census.row_hashes import hash_rows

CELL = ("dataset_id", "observation_joinid")
"""What tells a cell of the Discover corpus: the second names it within the first."""

_N_REPEATED = "n_repeated_cells"


class RepeatedCells:
    """Counts cells whose `CELL` is that of another. Memory: 8 bytes a cell."""

    def __init__(self, n_obs: int, schema: pa.Schema) -> None:
        """Nothing was seen yet, of n_obs cells at most of an obs with this schema."""
        self._has_cells = set(CELL) <= set(schema.names)
        self._hashes = np.empty(n_obs if self._has_cells else 0, np.uint64)
        self._n_seen = 0

    def seen(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Hands on batches of obs, and takes note of their cells."""
        for batch in batches:
            if self._has_cells:
                # More cells than were counted are an error that `write_index` tells.
                hashes = hash_rows([batch[name] for name in CELL])[: len(self._hashes) - self._n_seen]
                self._hashes[self._n_seen : self._n_seen + len(hashes)] = hashes
                self._n_seen += len(hashes)
            yield batch

    def count(self) -> int | None:
        """How many were seen; None where obs does not tell cells. To be asked for once, at the end."""
        if not self._has_cells:
            return None
        hashes = self._hashes[: self._n_seen]
        sort_cells(hashes)
        return n_repeated(hashes)

    def note(self) -> dict[str, str]:
        """What an index says of it; nothing where obs does not tell cells."""
        n_repeated_cells = self.count()
        return {} if n_repeated_cells is None else {_N_REPEATED: str(n_repeated_cells)}


def has_none(note: Mapping[str, str]) -> bool:
    """Whether a file says that no cell is in it twice; one of earlier versions says nothing."""
    return note.get(_N_REPEATED) == "0"
