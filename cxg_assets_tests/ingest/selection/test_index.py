"""The index is all of obs, in the types that the Census has, read a buffer at a time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cellxgene_census
import pandas as pd
import pyarrow as pa
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.errors import BadInput, WrongRecord
from cxg_assets.ingest.records import encode
from cxg_assets.ingest.selection.index import CensusIndex, read_index, write_index
from cxg_assets.ingest.storage.feather import FeatherFile
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets_tests.conftest import N_OBS, OLD_N_OBS

get_obs: Any = cellxgene_census.get_obs


def index_of(uri: str, release: Release, organism: str, path: Path, buffer_bytes: int = 2**20) -> CensusIndex:
    with CensusLocator(uri=uri).open(buffer_bytes=buffer_bytes) as census:
        return write_index(census, release, organism, path)


@pytest.mark.parametrize("organism", ["homo_sapiens", "mus_musculus"])
def test_the_index_equals_get_obs(
    census: soma.Collection, census_uri: str, release: Release, tmp_path: Path, organism: str
) -> None:
    index = index_of(census_uri, release, organism, tmp_path / "index.feather")

    expected = get_obs(census, organism)
    with FeatherFile(tmp_path / "index.feather") as file:
        pd.testing.assert_frame_equal(file.read().to_pandas(), expected)
    assert index.n_obs == len(expected)
    assert index.columns == tuple(expected.columns)
    assert index.n_bytes == (tmp_path / "index.feather").stat().st_size
    assert (index.release, index.organism) == (release, organism)


def test_older_builds_keep_plain_text(
    old_census: soma.Collection, old_census_uri: str, old_release: Release, tmp_path: Path
) -> None:
    index_of(old_census_uri, old_release, "homo_sapiens", tmp_path / "index.feather")

    with FeatherFile(tmp_path / "index.feather") as file:
        assert file.schema.field("cell_type").type == pa.large_string()
        pd.testing.assert_frame_equal(file.read().to_pandas(), get_obs(old_census, "homo_sapiens"))
        assert file.read().num_rows == OLD_N_OBS


def test_obs_is_read_in_many_buffers_and_the_file_is_the_same(
    census_uri: str, release: Release, tmp_path: Path
) -> None:
    small = CensusLocator(uri=census_uri).open(buffer_bytes=8_192)
    with small:
        sizes = [batch.num_rows for batch in small.obs_batches("homo_sapiens")]
    assert len(sizes) > 3
    assert sum(sizes) == N_OBS

    index_of(census_uri, release, "homo_sapiens", tmp_path / "one", buffer_bytes=2**23)
    index_of(census_uri, release, "homo_sapiens", tmp_path / "many", buffer_bytes=8_192)

    assert (tmp_path / "one").read_bytes() == (tmp_path / "many").read_bytes()


def test_what_is_known_of_an_index_comes_back_from_json(census_uri: str, release: Release, tmp_path: Path) -> None:
    index = index_of(census_uri, release, "mus_musculus", tmp_path / "index.feather")

    store = StoreLocator(url=tmp_path.as_uri()).open()
    store.put("index.json", encode(index))
    assert read_index(store, "index.json") == index != replace(index, n_obs=index.n_obs + 1)
    store.put("index.json", encode(index)[:-2])
    with pytest.raises(WrongRecord, match=r"index.json is not of this .* delete it and materialize census_index"):
        read_index(store, "index.json")


def test_an_organism_that_is_not_there_is_bad_input(census_uri: str, release: Release, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"organism: census .* has no 'canis_lupus'; it has homo_sapiens, mus_musculus"):
        index_of(census_uri, release, "canis_lupus", tmp_path / "index.feather")
