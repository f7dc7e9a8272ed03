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
from cxg_assets.ingest.pools.packed_rows import PackedRows, copy_rows

_HEAD = 3
_ROW = 16
"""Bytes of a row besides its octets."""


@dataclass(frozen=True, eq=False)
class Section:
    """The cells of a piece that are of one pool, in the order of their soma_joinids, (n,) int64."""

    joinids: np.ndarray
    rows: PackedRows


def piece_image(
    blocks: Sequence[PackedRows], joinids: np.ndarray, section_of: np.ndarray, n_sections: int
) -> memoryview:
    """The file of a piece; in memory at once with its rows, once each.

    Args:
        blocks: Its rows, all of one width, in the order of their soma_joinids.
        joinids: (n_rows,) int64.
        section_of: (n_rows,) int64, the section of each row.
        n_sections: Sections; some may be empty.
    """
    order = np.argsort(section_of, kind="stable")
    section_of, joinids = section_of[order], joinids[order]
    lengths = np.concatenate([block.lengths for block in blocks])[order]
    n_octets = np.concatenate([np.diff(block.starts) for block in blocks])[order].astype("<i4")
    edges = np.searchsorted(section_of, np.arange(n_sections + 1))
    n_before = np.append(0, np.cumsum(n_octets, dtype=np.int64))
    heads = 8 * _HEAD + _ROW * np.diff(edges)
    offsets = 8 * (n_sections + 1) + np.append(0, np.cumsum(heads + np.diff(n_before[edges])))
    image = np.empty(offsets[-1], np.uint8)
    image[: offsets.nbytes] = offsets.astype("<i8").view(np.uint8)
    copy_rows(blocks, order, n_before[:-1] + (offsets[:-1] + heads - n_before[edges[:-1]])[section_of], image)
    for number, (start, stop) in enumerate(itertools.pairwise(edges)):
        section = image[offsets[number] : offsets[number + 1]]
        columns = [column[start:stop].view(np.uint8) for column in (joinids, lengths, n_octets)]
        section[8 * _HEAD : heads[number]] = np.concatenate(columns)
        crc = zlib.crc32(section[8 * _HEAD :].data)
        section[: 8 * _HEAD] = np.array([stop - start, blocks[0].width, crc], "<i8").view(np.uint8)
    return image.data


def read_section(data: memoryview, path: str) -> Section:
    """Reads a section.

    Args:
        data: All of it.
        path: Of its file, for the message.

    Raises:
        CxgError: It is damaged.
    """
    n_rows, width, crc = (int(value) for value in np.frombuffer(data, "<i8", _HEAD))
    body = data[8 * _HEAD :]
    if zlib.crc32(body) != crc:
        raise CxgError(f"{path} is damaged: a section of it has another checksum; delete the file and run again")
    joinids = np.frombuffer(body, "<i8", n_rows)
    lengths = np.frombuffer(body, "<i4", n_rows, 8 * n_rows)
    starts = np.append(0, np.cumsum(np.frombuffer(body, "<i4", n_rows, 12 * n_rows), dtype=np.int64))
    octets = np.frombuffer(body, np.uint8, offset=_ROW * n_rows)
    return Section(joinids, PackedRows(lengths, starts, octets, width))
