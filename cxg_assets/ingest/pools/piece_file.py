"""The file of a piece: its cells by pool, each pool in a section of its own that is got by one ranged request.

    int64 * (n + 1)     where each of the n sections begins in the file, and where the last ends
    each section:
        int64 * 3       cells, octets of a value (`PackedRows.width`), CRC-32 of what follows
        int64 * cells   soma_joinids, ascending
        int32 * cells   non-zeros of each row
        int32 * cells   octets of each row
        octets          the packed rows, see `packed_rows`

Numbers are little-endian. Nothing but the second pass of the same plan reads it.
"""

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.pools.packed_rows import PackedRows, gather

_HEAD = 3


@dataclass(frozen=True, eq=False)
class Section:
    """The cells of a piece that are of one pool, in the order of their soma_joinids, (n,) int64."""

    joinids: np.ndarray
    rows: PackedRows


def piece_image(blocks: Sequence[PackedRows], joinids: np.ndarray, section_of: np.ndarray, n_sections: int) -> bytes:
    """The file of a piece.

    Args:
        blocks: Its rows, all of one width, in the order of their soma_joinids.
        joinids: (n_rows,) int64.
        section_of: (n_rows,) int64, the section of each row.
        n_sections: Sections; some may be empty.
    """
    order = np.argsort(section_of, kind="stable")
    rows, joinids = gather(blocks, order), joinids[order]
    edges = np.searchsorted(section_of[order], np.arange(n_sections + 1))
    parts: list[bytes] = []
    offsets = [8 * (n_sections + 1)]
    for start, stop in itertools.pairwise(edges):
        octets = rows.octets[rows.starts[start] : rows.starts[stop]]
        n_octets = np.diff(rows.starts[start : stop + 1]).astype("<i4")
        columns = (joinids[start:stop], rows.lengths[start:stop], n_octets, octets)
        body = [values.tobytes() for values in columns]
        crc = 0
        for values in body:
            crc = zlib.crc32(values, crc)
        parts += [np.array([stop - start, rows.width, crc], "<i8").tobytes(), *body]
        offsets.append(offsets[-1] + 8 * _HEAD + sum(len(values) for values in body))
    return b"".join([np.array(offsets, "<i8").tobytes(), *parts])


def read_section(data: bytes, path: str) -> Section:
    """Reads a section.

    Args:
        data: All of it.
        path: Of its file, for the message.

    Raises:
        CxgError: It is damaged.
    """
    n_rows, width, crc = (int(value) for value in np.frombuffer(data, "<i8", _HEAD))
    body = memoryview(data)[8 * _HEAD :]
    if zlib.crc32(body) != crc:
        raise CxgError(f"{path} is damaged: a section of it has another checksum; delete the file and run again")
    joinids = np.frombuffer(body, "<i8", n_rows)
    lengths = np.frombuffer(body, "<i4", n_rows, 8 * n_rows)
    starts = np.append(0, np.cumsum(np.frombuffer(body, "<i4", n_rows, 12 * n_rows), dtype=np.int64))
    octets = np.frombuffer(body, np.uint8, offset=16 * n_rows)
    return Section(joinids, PackedRows(lengths, starts, octets, width))
