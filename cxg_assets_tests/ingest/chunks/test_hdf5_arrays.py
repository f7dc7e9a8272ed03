"""Arrays written block by block read back the same through h5py, and the filters are HDF5's own."""

import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxg_assets.ingest.chunks.hdf5_arrays import BLOCK, BlockedArray, create_array, fill_array, shuffle_deflate
from cxg_assets.ingest.spec import COMPRESSIONS

DTYPES = ["int8", "int32", "int64", "float32", "float64", "bool"]


def written(values: np.ndarray, compression: str, cuts: list[int], block: int) -> tuple[np.ndarray, bytes]:
    """What h5py reads of the array, and the bytes of its file."""
    with h5py.File.in_memory() as file:
        dataset = create_array(file, "a", values.dtype, compression, block)
        array = BlockedArray(dataset)
        for start, stop in pairwise([0, *cuts, len(values)]):
            array.append(values[start:stop])
        array.close()
        file.flush()
        return dataset[:], file.id.get_file_image()


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    n=st.one_of(st.integers(0, 40), st.sampled_from([63, 64, 65, 128, 700])),
    dtype=st.sampled_from(DTYPES),
    compression=st.sampled_from(COMPRESSIONS),
    parts=st.lists(st.floats(0, 1), max_size=6),
)
def test_values_come_back_and_bytes_do_not_depend_on_the_cuts(
    n: int, dtype: str, compression: str, parts: list[float]
) -> None:
    values = np.random.default_rng(n).integers(0, 100, n).astype(dtype)
    cuts = sorted(int(part * n) for part in parts)

    back, image = written(values, compression, cuts, block=64)

    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)
    assert image == written(values, compression, [], block=64)[1]


@pytest.mark.parametrize("n", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_arrays_of_real_blocks_come_back(n: int) -> None:
    values = np.random.default_rng(n).poisson(2, n).astype(np.float32)

    back, _ = written(values, "gzip", [n // 3], BLOCK)

    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize(("compression", "declared"), [("gzip", "gzip"), ("lzf", "lzf"), ("none", None)])
def test_the_dataset_declares_the_filters_that_readers_need(compression: str, declared: str | None) -> None:
    with h5py.File.in_memory() as file:
        dataset = create_array(file, "a", np.dtype(np.int32), compression)
        fill_array(dataset, np.arange(1_000, dtype=np.int32))

        assert dataset.compression == declared
        assert dataset.shuffle == (declared is not None)
        assert dataset.shape == (1_000,)


def test_an_array_can_stay_empty() -> None:
    with h5py.File.in_memory() as file:
        dataset = create_array(file, "none", np.dtype(np.int32), "gzip")
        fill_array(dataset, np.empty(0, np.int32))

        assert dataset[:].tolist() == []


def test_the_last_block_is_stored_as_it_was_deflated_here() -> None:
    values = np.random.default_rng(0).poisson(2, 2 * BLOCK + 7).astype(np.float32)
    with h5py.File.in_memory() as file:
        dataset = create_array(file, "a", values.dtype, "gzip")
        fill_array(dataset, values)
        _, stored = dataset.id.read_direct_chunk((2 * BLOCK,))

    assert stored == shuffle_deflate(np.concatenate([values[2 * BLOCK :], np.zeros(BLOCK - 7, np.float32)]))


def test_gzip_makes_counts_smaller() -> None:
    counts = np.random.default_rng(0).poisson(2, 10 * BLOCK).astype(np.float32)

    _, image = written(counts, "gzip", [], BLOCK)

    assert len(image) < counts.nbytes / 5


def test_values_that_the_caller_changes_later_were_taken_as_they_were() -> None:
    with h5py.File.in_memory() as file:
        dataset = create_array(file, "a", np.dtype(np.int32), "gzip", block=8)
        array = BlockedArray(dataset)
        array.append(np.arange(10, dtype=np.int32))
        array.append(np.arange(10, 20, dtype=np.int32))
        array.close()

        assert dataset[:].tolist() == list(range(20))


def test_equal_content_gives_equal_bytes_wherever_the_stack_of_a_thread_lies() -> None:
    rng = np.random.default_rng(5)
    columns = [rng.choice(6, 500, p=rng.dirichlet(np.full(6, 0.25))).astype(np.int8) for _ in range(40)]
    threads = 300
    all_alive = threading.Barrier(threads)

    def pack(_: int) -> list[bytes]:
        all_alive.wait()
        return [shuffle_deflate(column) for column in columns]

    with ThreadPoolExecutor(threads) as pool:
        first, *others = pool.map(pack, range(threads))

    assert [zlib.decompress(packed) for packed in first] == [column.tobytes() for column in columns]
    assert all(packed == first for packed in others)
