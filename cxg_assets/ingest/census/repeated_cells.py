"""Whether a cell of the Discover corpus is there twice, found while obs passes by, and kept in the index itself.

In the file, as what was found is true of these rows only: whoever writes others in their place leaves it behind.
"""

from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from cxg_assets.ingest.census.many_hashes import ManyHashes
from cxg_assets.ingest.census.row_hashes import hash_rows

CELL = ("dataset_id", "observation_joinid")
"""What tells a cell of the Discover corpus: the second names it within the first."""

_N_REPEATED = "n_repeated_cells"


class RepeatedCells:
    """Counts cells whose `CELL` is that of another; their hashes go to a temporary file when they are many."""

    def __init__(self, schema: pa.Schema) -> None:
        """Nothing was seen yet of an obs with this schema."""
        self._has_cells = set(CELL) <= set(schema.names)
        self._hashes = ManyHashes()

    def seen(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Hands on batches of obs, and takes note of their cells."""
        for batch in batches:
            if self._has_cells:
                self._hashes.add(hash_rows([batch[name] for name in CELL]))
            yield batch

    def count(self) -> int | None:
        """How many were seen; None where obs does not tell cells. To be asked for once, at the end."""
        if not self._has_cells:
            return None
        return self._hashes.n_repeated()

    def close(self) -> None:
        """Removes what was written."""
        self._hashes.close()

    def note(self) -> dict[str, str]:
        """What an index says of it; nothing where obs does not tell cells."""
        n_repeated_cells = self.count()
        return {} if n_repeated_cells is None else {_N_REPEATED: str(n_repeated_cells)}


def has_none(note: Mapping[str, str]) -> bool:
    """Whether a file says that no cell is in it twice; one of earlier versions says nothing."""
    return note.get(_N_REPEATED) == "0"
