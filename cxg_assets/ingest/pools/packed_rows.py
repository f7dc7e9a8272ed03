"""Rows of X in a quarter of their memory: how a worker holds cells that wait for their place in a shuffled order.

Of each non-zero the distance of its column from the one before it, and its count, each as octets of 7 bits, the lowest
first (LEB128): both are one octet nearly always. Of values that are no counts, all octets as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cxg_assets.ingest.x.csr import CsrRows

MAX_COUNT = 2**31
"""Values from here on are packed as what is no count."""


@dataclass(frozen=True, eq=False)
class PackedRows:
    """Rows of X, packed.

    Attributes:
        lengths: (n_rows,) int32, non-zeros of each row.
        starts: (n_rows + 1,) int64, where each row begins in `octets`; last where they end.
        octets: uint8.
        width: Octets of a value; 0 for counts, which have as many as they take.
    """

    lengths: np.ndarray
    starts: np.ndarray
    octets: np.ndarray
    width: int

    @property
    def n_rows(self) -> int:
        """Rows held."""
        return len(self.lengths)


def pack(rows: CsrRows, *, as_counts: bool = True) -> PackedRows:
    """Packs rows, as counts only where all values are."""
    from cxg_assets.ingest import loops

    values, width = rows.data, 0
    if not (as_counts and loops.is_counts(values, MAX_COUNT)):
        width = values.dtype.itemsize
        values = _bits(values)
    starts = np.empty(len(rows.indptr), np.int64)
    loops.place_rows(rows.indptr, rows.indices, values, width, starts)
    octets = np.empty(starts[-1], np.uint8)
    loops.pack_rows(rows.indptr, rows.indices, values, width, octets)
    return PackedRows(np.diff(rows.indptr).astype(np.int32), starts, octets, width)


def unpack(rows: PackedRows, dtype: np.dtype) -> CsrRows:
    """All rows, with values of a type."""
    indptr = np.append(0, np.cumsum(rows.lengths, dtype=np.int64))
    indices, data = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], dtype)
    unpack_into(rows, np.arange(rows.n_rows), indptr[:-1], indices, data)
    return CsrRows(indptr, indices, data)


def copy_rows(blocks: Sequence[PackedRows], order: np.ndarray, places: np.ndarray, into: np.ndarray) -> None:
    """Copies the octets of rows of blocks, counted over all blocks, each to where it belongs.

    Args:
        blocks: At least one, of one width.
        order: (n_rows,) int64, rows.
        places: (n_rows,) int64, where the octets of each begin in `into`.
        into: uint8, filled.
    """
    from cxg_assets.ingest import loops

    first = 0
    for block in blocks:
        here = np.flatnonzero((order >= first) & (order < first + block.n_rows))
        loops.copy_octets(block.starts, block.octets, order[here] - first, places[here], into)
        first += block.n_rows


def unpack_into(
    rows: PackedRows, wanted: np.ndarray, places: np.ndarray, indices: np.ndarray, data: np.ndarray
) -> None:
    """Unpacks some rows to where they belong.

    Args:
        rows: Packed.
        wanted: (n,) int64, which of them.
        places: (n,) int64, where each begins in `indices` and `data`.
        indices: Filled: int32 column numbers.
        data: Filled: values, of the type that they had.
    """
    from cxg_assets.ingest import loops

    values = _bits(data) if rows.width else data
    loops.unpack_rows(rows.lengths, rows.starts, rows.octets, rows.width, wanted, places, indices, values)


def _bits(values: np.ndarray) -> np.ndarray:
    """The same memory as whole numbers."""
    return values.view(f"u{values.dtype.itemsize}")
