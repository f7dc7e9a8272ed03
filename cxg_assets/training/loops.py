"""The loops of the loader over non-zeros, compiled by numba; none of them holds the GIL.

Imported where they are run, as those of `ingest/loops.py`.
"""

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def place_planes(planes, first, starts, stops, places, target):
    """Copies rows out of a block of 4-octet values whose octets are stored plane by plane.

    `planes` are those of the values from number `first` of a file; of each row, `starts` to `stops`, what lies in the
    block goes to where it belongs in `target` (uint32), of which `places` is where the row begins.
    """
    n = planes.shape[0] // 4
    p0, p1, p2, p3 = planes[:n], planes[n : 2 * n], planes[2 * n : 3 * n], planes[3 * n :]
    for row in range(starts.shape[0]):
        start, stop = max(starts[row], first), min(stops[row], first + n)
        if start >= stop:
            continue
        source = start - first
        into = target[places[row] + start - starts[row] : places[row] + stop - starts[row]]
        q0, q1 = p0[source : source + into.shape[0]], p1[source : source + into.shape[0]]
        q2, q3 = p2[source : source + into.shape[0]], p3[source : source + into.shape[0]]
        for value in range(into.shape[0]):
            into[value] = (
                np.uint32(q0[value])
                | (np.uint32(q1[value]) << np.uint32(8))
                | (np.uint32(q2[value]) << np.uint32(16))
                | (np.uint32(q3[value]) << np.uint32(24))
            )


@numba.njit(nogil=True, cache=True)
def place_values(values, first, starts, stops, places, target):
    """The same of a block whose values are as they are."""
    n = values.shape[0]
    for row in range(starts.shape[0]):
        start, stop = max(starts[row], first), min(stops[row], first + n)
        for value in range(start, stop):
            target[places[row] + value - starts[row]] = values[value - first]


@numba.njit(nogil=True, cache=True)
def are_columns(starts, stops, places, indices, n_columns):
    """Whether all column numbers of some rows are there."""
    for row in range(starts.shape[0]):
        for place in range(places[row], places[row] + stops[row] - starts[row]):
            if indices[place] < 0 or indices[place] >= n_columns:
                return False
    return True


@numba.njit(nogil=True, cache=True)
def unpack_lzf(packed, unpacked):
    """Unpacks LZF (LibLZF 3.6, as h5py's filter has it). Returns how many octets there are; -1 if it is damaged."""
    at, to, n_packed, n_unpacked = 0, 0, packed.shape[0], unpacked.shape[0]
    while at < n_packed:
        control = np.int64(packed[at])
        at += 1
        if control < 32:
            length = control + 1
            if at + length > n_packed or to + length > n_unpacked:
                return -1
            for _ in range(length):
                unpacked[to] = packed[at]
                to += 1
                at += 1
            continue
        length = control >> 5
        back = to - ((control & 31) << 8) - 1
        if length == 7:
            if at >= n_packed:
                return -1
            length += np.int64(packed[at])
            at += 1
        if at >= n_packed:
            return -1
        back -= np.int64(packed[at])
        at += 1
        length += 2
        if back < 0 or to + length > n_unpacked:
            return -1
        for _ in range(length):
            unpacked[to] = unpacked[back]
            to += 1
            back += 1
    return to


@numba.njit(nogil=True, cache=True)
def count_kept(first, last, indptr, indices, column_of, counts):
    """Counts the values of rows `first` to `last` whose column is kept, where `column_of` has no -1."""
    for row in range(first, last):
        n_kept = 0
        for place in range(indptr[row], indptr[row + 1]):
            n_kept += column_of[indices[place]] >= 0
        counts[row] = n_kept


@numba.njit(nogil=True, cache=True)
def keep_columns(first, last, indptr, indices, data, column_of, is_ordered, kept_indptr, kept_indices, kept_data):
    """Copies the values of kept columns under their new numbers, which ascend in a row as the old ones did."""
    for row in range(first, last):
        to = kept_indptr[row]
        start = to
        for place in range(indptr[row], indptr[row + 1]):
            column = column_of[indices[place]]
            if column < 0:
                continue
            kept_indices[to] = column
            kept_data[to] = data[place]
            to += 1
        if not is_ordered:
            order = np.argsort(kept_indices[start:to])
            kept_indices[start:to] = kept_indices[start:to][order]
            kept_data[start:to] = kept_data[start:to][order]


@numba.njit(nogil=True, cache=True)
def sum_rows(first, last, indptr, data, sums):
    """Sums the values of rows."""
    for row in range(first, last):
        total = 0.0
        for place in range(indptr[row], indptr[row + 1]):
            total += np.float64(data[place])
        sums[row] = total


@numba.njit(nogil=True, cache=True)
def scale_rows(first, last, indptr, data, sums, target):
    """Scales rows to a sum; those without counts stay as they are."""
    for row in range(first, last):
        if sums[row] > 0:
            factor = target / sums[row]
            for place in range(indptr[row], indptr[row + 1]):
                data[place] = np.float32(np.float64(data[place]) * factor)


@numba.njit(nogil=True, cache=True)
def log_values(first, last, indptr, data, n_slots):
    """Puts log(1 + x) in the place of each value of rows.

    The values of a row are few different ones, counts times a factor: those seen last are kept, in a table of a power
    of two of slots.
    """
    keys, logs = np.zeros(n_slots, np.float32), np.zeros(n_slots, np.float32)
    for place in range(indptr[first], indptr[last]):
        value = data[place]
        slot = np.int64(value * np.float32(1024)) & (n_slots - 1) if value >= 0 and value < 1e6 else 0
        if keys[slot] != value:
            keys[slot] = value
            logs[slot] = np.float32(np.log1p(np.float64(value)))
        data[place] = logs[slot]


@numba.njit(nogil=True, cache=True)
def fill_dense(indptr, indices, data, filled):
    """Puts values where they belong in a matrix of zeros."""
    for row in range(filled.shape[0]):
        for place in range(indptr[row], indptr[row + 1]):
            filled[row, indices[place]] = data[place]
