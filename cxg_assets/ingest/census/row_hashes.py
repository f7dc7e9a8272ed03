"""A 64-bit hash of each row of some columns, by which equal rows are found among many."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_MISSING = np.uint64(0xD1B54A32D192ED03)


def hash_rows(columns: Sequence[pa.Array]) -> np.ndarray:
    """Hashes rows by their values: text hashes alike as plain text, in a dictionary, and wherever an array begins.

    Missing values are equal to each other and to nothing else. Rows that differ have the same hash by chance only: two
    of 63 million with a probability of 1 in 10,000, two of a billion of 3 %.

    The columns are of equal length, and text or what Arrow can write as text. Returns (n_rows,) uint64.
    """
    from cxg_assets.ingest import loops

    hashes = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        loops.mix_into(hashes, _hash_values(column))
    return hashes


class HashTable:
    """Where each of many hashes stands among them. Memory: some 19 to 38 bytes a hash."""

    def __init__(self, hashes: np.ndarray) -> None:
        """Takes (n,) uint64; of equal ones the first is found."""
        from cxg_assets.ingest import loops

        n_slots = 1 << max(3 * len(hashes) // 2, 1).bit_length()
        self._marks, self._slots = np.zeros(n_slots // 2, np.uint8), np.zeros(n_slots, np.uint64)
        self._places = np.full(n_slots, -1, np.int32)
        loops.place_hashes(hashes, self._marks, self._slots, self._places)

    def find(self, hashes: np.ndarray) -> np.ndarray:
        """The place of each hash, (n,) int64; -1 where there is none."""
        from cxg_assets.ingest import loops

        places = np.empty(len(hashes), np.int64)
        loops.find_hashes(hashes, self._marks, self._slots, self._places, places)
        return places


def _hash_values(column: pa.Array) -> np.ndarray:
    from cxg_assets.ingest import loops

    if pa.types.is_dictionary(column.type):
        if len(column.dictionary) > len(column):
            return _hash_values(column.dictionary_decode())
        of_codes = np.append(_hash_values(column.dictionary), _MISSING)
        codes = pc.fill_null(column.indices.cast(pa.int64()), len(column.dictionary))
        return of_codes[codes.to_numpy()]
    if not pa.types.is_string(column.type):
        column = column.cast(pa.large_string())
    hashes = np.empty(len(column), np.uint64)
    if not len(column):
        return hashes
    _, offsets, octets = column.buffers()
    width = np.dtype(np.int32 if pa.types.is_string(column.type) else np.int64)
    ends = np.frombuffer(offsets, width, len(column) + 1, column.offset * width.itemsize)
    loops.hash_texts(ends, np.frombuffer(octets or b"", np.uint8), hashes)
    if column.null_count:
        hashes[column.is_null().to_numpy(zero_copy_only=False)] = _MISSING
    return hashes
