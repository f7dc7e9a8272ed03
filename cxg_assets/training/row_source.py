"""What the loader asks of the files of a dataset, whatever their format."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from cxg_assets.ingest.plan.chunk_plan import Chunk


@dataclass(frozen=True, kw_only=True, eq=False)
class ChunkIndex:
    """What is known of a chunk before any of its X is read; kept as long as the loader.

    Attributes:
        chunk: The chunk.
        indptr: (n_obs + 1,) where each row of X begins among its non-zeros.
        joinids: (n_obs,) int64, soma_joinid.
        labels: Codes of each label column, (n_obs,) signed integers; -1 for a cell without one.
        places: Where the format has put X.
    """

    chunk: Chunk
    indptr: np.ndarray
    joinids: np.ndarray
    labels: dict[str, np.ndarray]
    places: Any


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Rows of one chunk, and where they go.

    Attributes:
        index: The chunk.
        starts: (n,) int64, first non-zero of each row among the chunk's, ascending; a row may be there more than once.
        stops: (n,) int64, one past its last.
        places: (n,) int64, where its first non-zero goes.
    """

    index: ChunkIndex
    starts: np.ndarray
    stops: np.ndarray
    places: np.ndarray


class RowSource(Protocol):
    """The chunks of a dataset. Picklable while nothing was read; every method may be called by several threads.

    All raise `CxgError` for a chunk that is missing or damaged, naming it, and `StoreError` where the store fails.
    """

    def categories(self, chunk: Chunk, columns: Sequence[str]) -> dict[str, list[str]]:
        """The labels that the codes of obs columns stand for; BadInput where there is no such column of labels."""
        ...

    def index(self, chunk: Chunk, labels: Sequence[str]) -> ChunkIndex:
        """Reads what is known of a chunk."""
        ...

    def fetch(self, rows: Rows) -> Any:
        """Gets what `decode` needs, as it is stored: all the waiting for a store is here."""
        ...

    def decode(self, rows: Rows, fetched: Any, indices: np.ndarray, data: np.ndarray) -> None:
        """Decodes rows into (nnz,) arrays, int32 and float32; most of it without the GIL."""
        ...
