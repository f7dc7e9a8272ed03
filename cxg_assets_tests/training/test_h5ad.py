"""Blocks are found and unpacked as the HDF5 library does it, for every compression that files may have."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cxg_assets.ingest.chunks.hdf5_arrays import create_array, fill_array
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.spec import COMPRESSIONS, SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.training import batches
from cxg_assets.training.h5ad.block_codec import unpack_values
from cxg_assets.training.h5ad.hdf5_layout import Hdf5Layout, UnknownLayout
from cxg_assets.training.h5ad.object_bytes import KeptBytes, ObjectBytes
from cxg_assets_tests.conftest import Ingest


def kept(file: Path) -> KeptBytes:
    return KeptBytes(ObjectBytes(StoreLocator(url=file.parent.as_uri()), file.name))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i4", "i8", "u2"])
def test_values_are_those_that_h5py_reads(tmp_path: Path, compression: str, dtype: str) -> None:
    random = np.random.default_rng(1)
    values = random.poisson(2.0, 30_000).astype(dtype)
    noise = random.integers(0, 255, 8_000 * values.itemsize).astype(np.uint8).view(dtype)
    with h5py.File(tmp_path / "file.h5", "w") as file:
        for name, some in (("counts", values), ("noise", noise), ("none", values[:0]), ("one", values[:1])):
            group = file.require_group(f"a/{name}")
            fill_array(create_array(group, "data", values.dtype, compression, 256), some)
    layout = Hdf5Layout(source := kept(tmp_path / "file.h5"))
    for name, some in (("counts", values), ("noise", noise), ("none", values[:0]), ("one", values[:1])):
        blocks = layout.blocks(f"a/{name}/data")
        assert (blocks.n_values, blocks.dtype, blocks.block) == (len(some), values.dtype, 256)
        packed = [source.read(int(at), int(n)) for at, n in zip(blocks.places, blocks.n_bytes, strict=True)]
        np.testing.assert_array_equal(unpack_values(packed, blocks, compression), some)


def test_blocks_lie_where_the_library_says(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        for number in range(60):  # so many that names have more than one node
            file.create_group(f"g/{number:03d}")
        fill_array(
            create_array(file.require_group("g/031"), "data", np.dtype("i4"), "gzip", 16), np.arange(70_000, dtype="i4")
        )
    blocks = Hdf5Layout(kept(tmp_path / "file.h5")).blocks("g/031/data")
    with h5py.File(tmp_path / "file.h5") as opened:
        data: Any = opened["g/031/data"]
        told = [data.id.get_chunk_info(number) for number in range(data.id.get_num_chunks())]
    assert len(told) > 4_000  # a tree of three levels
    assert blocks.places.tolist() == [block.byte_offset for block in told]
    assert blocks.n_bytes.tolist() == [block.size for block in told]


def test_files_of_other_layouts_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "latest.h5", "w", libver="latest") as file:
        file["data"] = np.arange(10)
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file["data"] = np.arange(10)
        file["table"] = np.zeros((3, 3))
    with pytest.raises(UnknownLayout, match="no HDF5 superblock of version 0"):
        Hdf5Layout(kept(tmp_path / "latest.h5"))
    layout = Hdf5Layout(kept(tmp_path / "whole.h5"))
    for name in ("data", "table"):
        with pytest.raises(UnknownLayout, match=f"{name} is not a row of blocks"):
            layout.blocks(name)
    with pytest.raises(KeyError):
        layout.blocks("nothing")


@pytest.mark.parametrize("compression", [name for name in COMPRESSIONS if name != "gzip"])
def test_a_dataset_of_each_compression_is_read(
    ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path: Path, compression: str
) -> None:
    made = ingest(spec(max_obs=150, chunk_size=60, compression=compression), tmp_path.as_uri())
    publish(made.store, made.plan, made.reports, made.census)
    files = {key: made.read(chunk) for chunk in made.plan.chunks for key in [chunk.key]}
    expected = {
        int(name): row for adata in files.values() for name, row in zip(adata.obs_names, adata.X.toarray(), strict=True)
    }
    seen: set[int] = set()
    for batch in batches(f"{made.store.url}/blood_normal", batch_size=40):
        for joinid, row in zip(batch.joinids.tolist(), batch.x.dense(), strict=True):
            np.testing.assert_array_equal(row, expected[joinid])
            seen.add(joinid)
    assert seen == set(expected)
    shutil.rmtree(tmp_path)
