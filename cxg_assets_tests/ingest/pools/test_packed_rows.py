"""Rows that are packed come out as they went in, whatever is in them."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.pools.packed_rows import pack, unpack
from cxg_assets.ingest.pools.piece_file import piece_image, read_section
from cxg_assets.ingest.pools.pool_rows import PoolRows
from cxg_assets.ingest.x.csr import CsrRows

COUNTS = np.array([0, 1, 127, 128, 16_383, 16_384, 2**24], np.float32)
FLOATS = np.array([0.5, -1.0, np.inf, np.nan, 1e-30, 2.0**31, 3.0], np.float32)


def rows_of(seed: int, n_rows: int, n_vars: int, values: np.ndarray) -> CsrRows:
    rng = np.random.default_rng(seed)
    has_value = rng.random((n_rows, n_vars)) < rng.choice([0.0, 0.05, 0.9])
    lengths = has_value.sum(axis=1)
    indices = np.nonzero(has_value)[1].astype(np.int32)
    return CsrRows(np.append(0, np.cumsum(lengths)).astype(np.int64), indices, rng.choice(values, len(indices)))


def same(one: CsrRows, other: CsrRows) -> bool:
    pairs = ((one.indptr, other.indptr), (one.indices, other.indices), (one.data.view("u1"), other.data.view("u1")))
    return all(np.array_equal(first, second) for first, second in pairs)


ROWS = st.builds(
    rows_of,
    st.integers(0, 999),
    st.integers(0, 9),
    st.sampled_from([1, 100, 40_000]),
    st.sampled_from([COUNTS, FLOATS, FLOATS.astype(np.float64), np.append(COUNTS, np.float32(0.25))]),
)


@settings(max_examples=200, deadline=None)
@given(rows=ROWS)
def test_rows_come_out_as_they_went_in(rows: CsrRows) -> None:
    assert same(unpack(pack(rows), rows.data.dtype), rows)
    assert same(unpack(pack(rows, as_counts=False), rows.data.dtype), rows)


def test_usual_counts_take_two_octets_each() -> None:
    rows = rows_of(1, 50, 2_000, np.array([1, 2, 3, 40], np.float32))

    packed = pack(rows)

    assert packed.width == 0
    assert len(packed.octets) == 2 * len(rows.data)


def stacked(blocks: list[CsrRows], n_columns: int) -> Any:
    """All rows of blocks, as scipy has them."""
    matrixes = [scipy.sparse.csr_matrix((b.data, b.indices, b.indptr), (b.n_rows, n_columns)) for b in blocks]
    return scipy.sparse.vstack(matrixes, format="csr")


def rows_in(matrix: Any, order: np.ndarray) -> CsrRows:
    """Some rows of a matrix, in an order."""
    rows = matrix[order]
    return CsrRows(rows.indptr.astype(np.int64), rows.indices, rows.data)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 999), n_sections=st.integers(1, 5), values=st.sampled_from([COUNTS, FLOATS]))
def test_a_piece_has_the_rows_of_each_pool_in_their_order(seed: int, n_sections: int, values: np.ndarray) -> None:
    rng = np.random.default_rng(seed)
    blocks = [rows_of(seed + number, int(rng.integers(0, 9)), 300, values) for number in range(3)]
    whole = stacked(blocks, 300)
    n_rows = whole.shape[0]
    joinids, section_of = np.sort(rng.choice(10_000, n_rows, replace=False)), rng.integers(0, n_sections, n_rows)
    packed = [pack(block, as_counts=values is COUNTS) for block in blocks]

    image = piece_image(packed, joinids, section_of, n_sections)

    offsets = np.frombuffer(image, "<i8", n_sections + 1)
    assert offsets[-1] == len(image)
    for number in range(n_sections):
        section = read_section(image[offsets[number] : offsets[number + 1]], "a piece")
        assert section.joinids.tolist() == joinids[section_of == number].tolist()
        assert same(unpack(section.rows, values.dtype), rows_in(whole, np.flatnonzero(section_of == number)))


def test_a_damaged_section_is_refused() -> None:
    image = bytearray(piece_image([pack(rows_of(0, 5, 100, COUNTS))], np.arange(5), np.zeros(5, np.int64), 1))
    image[-1] ^= 1

    with pytest.raises(CxgError, match="the piece is damaged: a section of it has another checksum; delete the file"):
        read_section(memoryview(image)[16:], "the piece")


def test_a_pool_gives_the_rows_of_all_pieces_in_any_order() -> None:
    blocks = [rows_of(seed, 6, 500, COUNTS) for seed in range(3)]
    order = np.random.default_rng(0).permutation(18)
    pool = PoolRows([pack(block) for block in blocks], order, np.dtype(np.float32))

    [found] = pool.cut(2, 17)

    assert same(found, rows_in(stacked(blocks, 500), order[2:17]))
