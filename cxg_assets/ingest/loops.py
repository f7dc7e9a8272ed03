"""The loops over non-zeros and over texts of cells, compiled by numba; none of them holds the GIL.

Imported where they are run: numba takes 0.3 s, for which a command or a process of Dagster has no use.
"""

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def count(joinids, sorted_joinids, row_of, counts):
    """Counts the points of each row. A joinid comes in runs, so one search serves many points."""
    start, n_points = 0, joinids.shape[0]
    while start < n_points:
        joinid = joinids[start]
        stop = start + 1
        while stop < n_points and joinids[stop] == joinid:
            stop += 1
        counts[row_of[np.searchsorted(sorted_joinids, joinid)] + 1] += stop - start
        start = stop


@numba.njit(nogil=True, cache=True)
def keep(joinids, genes, values, sorted_joinids, column_of):
    """The points of wanted cells and genes, in the order they came: found and counted first, then copied."""
    n_points = joinids.shape[0]
    wanted = np.zeros(n_points, np.bool_)
    n_wanted, start = 0, 0
    while start < n_points:
        joinid = joinids[start]
        place = np.searchsorted(sorted_joinids, joinid)
        is_wanted = place < sorted_joinids.shape[0] and sorted_joinids[place] == joinid
        while start < n_points and joinids[start] == joinid:
            if is_wanted and column_of[genes[start]] >= 0:
                wanted[start] = True
                n_wanted += 1
            start += 1
    kept_joinids = np.empty(n_wanted, joinids.dtype)
    kept_genes = np.empty(n_wanted, genes.dtype)
    kept_values = np.empty(n_wanted, values.dtype)
    place = 0
    for point in range(n_points):
        if wanted[point]:
            kept_joinids[place] = joinids[point]
            kept_genes[place] = genes[point]
            kept_values[place] = values[point]
            place += 1
    return kept_joinids, kept_genes, kept_values


@numba.njit(nogil=True, cache=True)
def scatter(joinids, genes, values, sorted_joinids, row_of, column_of, next_free, last_column, indices, data):
    """Copies each run of points to the next free place of its row. Says whether all columns came in order."""
    is_sorted = True
    start, n_points = 0, joinids.shape[0]
    while start < n_points:
        joinid = joinids[start]
        row = row_of[np.searchsorted(sorted_joinids, joinid)]
        place = next_free[row]
        previous = last_column[row]
        point = start
        while point < n_points and joinids[point] == joinid:
            column = column_of[genes[point]]
            is_sorted &= column >= previous
            previous = column
            indices[place] = column
            data[place] = values[point]
            place += 1
            point += 1
        next_free[row] = place
        last_column[row] = previous
        start = point
    return is_sorted


@numba.njit(nogil=True, cache=True)
def sort_columns(indptr, indices, data, n_columns):
    """Sorts the columns of each row, in place: marks them in a row of all columns, and looks where marks are."""
    n_words = n_columns // 8 + 1
    marks = np.zeros(8 * n_words, np.uint8)
    words = marks.view(np.uint64)
    held = np.empty(n_columns, data.dtype)
    for row in range(indptr.shape[0] - 1):
        start, stop = indptr[row], indptr[row + 1]
        is_repeated = False
        for place in range(start, stop):
            is_repeated |= marks[indices[place]] != 0
            marks[indices[place]] = 1
            held[indices[place]] = data[place]
        if is_repeated:  # no Census has a value twice; if one had, both would stay
            marks[:] = 0
            order = np.argsort(indices[start:stop], kind="mergesort")
            indices[start:stop] = indices[start:stop][order]
            data[start:stop] = data[start:stop][order]
            continue
        place = start
        for word in range(n_words):
            if words[word] == 0:
                continue
            for column in range(8 * word, 8 * word + 8):
                if marks[column]:
                    indices[place] = column
                    data[place] = held[column]
                    place += 1
            words[word] = 0


@numba.njit(nogil=True, cache=True)
def is_counts(values, limit):
    """Whether all values are whole numbers from 0 to below a limit."""
    place = 0
    while place < values.shape[0] and 0 <= values[place] < limit and values[place] == np.int64(values[place]):
        place += 1
    return place == values.shape[0]


@numba.njit(nogil=True, cache=True)
def _put(number, octets, place):
    """Writes a number as octets of 7 bits, the lowest first. Returns where the next one goes."""
    while number >= 128:
        octets[place] = (number & 127) | 128
        number >>= 7
        place += 1
    octets[place] = number
    return place + 1


@numba.njit(nogil=True, cache=True)
def _take(octets, place):
    """Reads what `_put` wrote. Returns the number, and where the next one is."""
    octet = octets[place]
    number = np.int64(octet & 127)
    shift = 7
    while octet & 128:
        place += 1
        octet = octets[place]
        number |= np.int64(octet & 127) << shift
        shift += 7
    return number, place + 1


@numba.njit(nogil=True, cache=True)
def _n_octets(number):
    """How many octets `_put` writes."""
    n = 1
    while number >= 128:
        number >>= 7
        n += 1
    return n


@numba.njit(nogil=True, cache=True)
def place_rows(indptr, indices, values, width, starts):
    """Fills in where each row begins when it is packed, and where the last one ends."""
    place = 0
    for row in range(starts.shape[0] - 1):
        starts[row] = place
        previous = -1
        for point in range(indptr[row], indptr[row + 1]):
            place += _n_octets(indices[point] - previous - 1)
            place += width if width else _n_octets(np.int64(values[point]))
            previous = indices[point]
    starts[-1] = place


@numba.njit(nogil=True, cache=True)
def pack_rows(indptr, indices, values, width, octets):
    """Packs rows, see `packed_rows.py`; values that are no counts come as their bits."""
    place = 0
    for row in range(indptr.shape[0] - 1):
        previous = -1
        for point in range(indptr[row], indptr[row + 1]):
            place = _put(indices[point] - previous - 1, octets, place)
            previous = indices[point]
            if width == 0:
                place = _put(np.int64(values[point]), octets, place)
            else:
                bits = np.uint64(values[point])
                for octet in range(width):
                    octets[place + octet] = (bits >> np.uint64(8 * octet)) & np.uint64(255)
                place += width


@numba.njit(nogil=True, cache=True)
def unpack_rows(lengths, starts, octets, width, rows, places, indices, values):
    """Unpacks rows to where each begins; values that are no counts go as their bits."""
    for number in range(rows.shape[0]):
        row = rows[number]
        at, to = starts[row], places[number]
        column = -1
        for point in range(to, to + lengths[row]):
            distance, at = _take(octets, at)
            column += distance + 1
            indices[point] = column
            if width == 0:
                values[point], at = _take(octets, at)
            else:
                bits = np.uint64(0)
                for place in range(width):
                    bits |= np.uint64(octets[at + place]) << np.uint64(8 * place)
                at += width
                values[point] = bits


@numba.njit(nogil=True, cache=True)
def copy_octets(starts, octets, rows, places, into):
    """Copies packed rows to where each begins."""
    for number in range(rows.shape[0]):
        start, stop = starts[rows[number]], starts[rows[number] + 1]
        into[places[number] : places[number] + stop - start] = octets[start:stop]


@numba.njit(nogil=True, cache=True)
def shuffle_4(octets, planes):
    """The byte planes of four-byte values, all of X; nine times as fast as numpy's transposition (measured)."""
    n_values = octets.shape[0] // 4
    for value in range(n_values):
        planes[value] = octets[4 * value]
        planes[n_values + value] = octets[4 * value + 1]
        planes[2 * n_values + value] = octets[4 * value + 2]
        planes[3 * n_values + value] = octets[4 * value + 3]


@numba.njit(nogil=True, cache=True)
def _mixed(bits):
    """Every bit of the result depends on every bit of what came: the finalizer of splitmix64, one to one."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@numba.njit(nogil=True, cache=True)
def hash_texts(ends, octets, hashes):
    """Hashes each text, `octets[ends[row]:ends[row + 1]]`: its length, then eight octets at a time."""
    for row in range(hashes.shape[0]):
        start, stop = ends[row], ends[row + 1]
        bits = _mixed(np.uint64(stop - start) + np.uint64(0x9E3779B97F4A7C15))
        while start + 8 <= stop:  # apart, with a number of turns that the compiler knows: one load instead of eight
            word = np.uint64(0)
            for place in range(8):
                word |= np.uint64(octets[start + place]) << np.uint64(8 * place)
            bits = _mixed(bits ^ word)
            start += 8
        if start < stop:
            word = np.uint64(0)
            for place in range(stop - start):
                word |= np.uint64(octets[start + place]) << np.uint64(8 * place)
            bits = _mixed(bits ^ word)
        hashes[row] = bits


@numba.njit(nogil=True, cache=True)
def mix_into(hashes, others):
    """Mixes other hashes into some; another order gives another hash."""
    for row in range(hashes.shape[0]):
        hashes[row] = _mixed((hashes[row] + np.uint64(0x9E3779B97F4A7C15)) ^ others[row])


@numba.njit(nogil=True, cache=True)
def place_hashes(hashes, marks, slots, places):
    """Puts the number of each hash at the first free slot from where it belongs, and sets a bit of the marks for it.

    Slots and bits are powers of two.
    """
    last, last_bit = np.uint64(slots.shape[0] - 1), np.uint64(8 * marks.shape[0] - 1)
    for number in range(hashes.shape[0]):
        bit = (hashes[number] >> np.uint64(32)) & last_bit
        marks[bit >> np.uint64(3)] |= np.uint8(1) << np.uint8(bit & np.uint64(7))
        slot = hashes[number] & last
        while places[slot] >= 0:
            slot = (slot + np.uint64(1)) & last
        slots[slot] = hashes[number]
        places[slot] = number


@numba.njit(nogil=True, cache=True)
def find_hashes(hashes, marks, slots, places, found):
    """The number of each hash as `place_hashes` has put it; -1 where it has not.

    The marks are small enough for a cache of the CPU, and most hashes that are in no slot have none.
    """
    last, last_bit = np.uint64(slots.shape[0] - 1), np.uint64(8 * marks.shape[0] - 1)
    for row in range(hashes.shape[0]):
        bit = (hashes[row] >> np.uint64(32)) & last_bit
        if not (marks[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1):
            found[row] = -1
            continue
        slot = hashes[row] & last
        while places[slot] >= 0 and slots[slot] != hashes[row]:
            slot = (slot + np.uint64(1)) & last
        found[row] = places[slot]
