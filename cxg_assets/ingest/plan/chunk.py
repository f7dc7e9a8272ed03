"""One chunk of a plan: which cells it has."""

from dataclasses import dataclass, fields

import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """The cells of one h5ad file, or of one dataset of a zarr collection.

    Attributes:
        key: Partition key, five digits.
        row_start: First row in the plan's obs file, which may be the subset's.
        row_stop: One past the last row.
        nnz: Non-zeros that obs expects in X of all genes.
        n_tiles: Rows of X tiles that these cells lie in.
        first_joinid: Least soma_joinid.
        last_joinid: Greatest soma_joinid.
        fingerprint: SHA-256 (hex) over everything that decides the file's bytes.
        split: Part of the split that all its cells belong to; None without a split.
        pool: Number of the pool that it is read from, with others of that pool; None in census order.
    """

    key: str
    row_start: int
    row_stop: int
    nnz: int
    n_tiles: int
    first_joinid: int
    last_joinid: int
    fingerprint: str
    split: str | None = None
    pool: int | None = None

    @property
    def n_obs(self) -> int:
        """Cells of the chunk."""
        return self.row_stop - self.row_start


_TEXTS = ("key", "fingerprint", "split")
CHUNK_SCHEMA = pa.schema([(field.name, pa.string() if field.name in _TEXTS else pa.int64()) for field in fields(Chunk)])
"""Of plan.parquet."""
