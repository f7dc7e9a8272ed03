"""A locator opens a Census anywhere; what is not a Census is refused with what to do."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cellxgene_census
import pandas as pd
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.census.census import CensusLocator, keep_open
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.spec import SPATIAL, experiment_name, modality_and_organism
from cxg_assets_tests.conftest import N_OBS, N_SPOTS

get_var: Any = cellxgene_census.get_var
get_obs: Any = cellxgene_census.get_obs


def test_an_open_census_tells_what_it_has(census_uri: str, census: soma.Collection) -> None:
    with CensusLocator(uri=census_uri).open() as opened:
        assert opened.organisms() == ("homo_sapiens", "mus_musculus")
        assert opened.layers("homo_sapiens") == {
            layer: f"file://{census_uri}/census_data/homo_sapiens/ms/RNA/X/{layer}" for layer in ("normalized", "raw")
        }
        assert opened.obs("homo_sapiens").count == N_OBS
        pd.testing.assert_frame_equal(opened.var("homo_sapiens").to_pandas(), get_var(census, "homo_sapiens"))
        datasets: Any = census["census_info"]["datasets"]
        columns = ["dataset_id", "citation"]
        expected = datasets.read(column_names=columns).concat().to_pandas()
        pd.testing.assert_frame_equal(opened.datasets([*columns, "no_such_column"]).to_pandas(), expected)
        assert opened.summary()["census_build_date"] == "2025-01-01"


def test_spots_are_another_experiment_of_the_same_organism(census_uri: str, census: soma.Collection) -> None:
    name = experiment_name("homo_sapiens", SPATIAL)
    assert modality_and_organism(name) == (SPATIAL, "homo_sapiens")
    assert modality_and_organism(experiment_name("homo_sapiens")) == ("census_data", "homo_sapiens")
    with CensusLocator(uri=census_uri).open() as opened:
        assert opened.organisms(SPATIAL) == ("homo_sapiens", "mus_musculus")
        assert list(opened.layers(name)) == ["raw"]
        assert opened.obs(name).count == N_SPOTS
        pd.testing.assert_frame_equal(
            opened.var(name).to_pandas(), get_var(census, "homo_sapiens", modality=SPATIAL)
        )


def test_a_modality_or_an_organism_that_is_not_there_is_bad_input(census_uri: str, old_census_uri: str) -> None:
    with CensusLocator(uri=census_uri).open() as opened:
        told = r"organism: census .* has no 'pan_troglodytes' in census_spatial_sequencing; it has homo_sapiens, mus_m"
        with pytest.raises(BadInput, match=told):
            opened.obs(experiment_name("pan_troglodytes", SPATIAL))
    with CensusLocator(uri=old_census_uri).open() as opened:
        assert opened.organisms(SPATIAL) == ()
        with pytest.raises(BadInput, match=r"modality: census .* has no census_spatial_sequencing; releases since"):
            opened.obs(experiment_name("homo_sapiens", SPATIAL))


def test_obs_comes_in_joinid_order(census_uri: str) -> None:
    with CensusLocator(uri=census_uri).open(buffer_bytes=8_192) as opened:
        batches = [batch["soma_joinid"].to_pylist() for batch in opened.obs_batches("homo_sapiens")]

    assert len(batches) > 1
    assert [joinid for batch in batches for joinid in batch] == list(range(N_OBS))


def test_a_pinned_census_does_not_see_what_is_written_later(census_uri: str) -> None:
    with pytest.raises(BadInput, match="no SOMA collection can be opened there"):
        CensusLocator(uri=census_uri, timestamp_ms=1).open()


def test_a_locator_travels_and_hides_its_settings(census_uri: str) -> None:
    locator = CensusLocator(uri=census_uri, tiledb_config=(("vfs.s3.aws_secret_access_key", "hush"),))

    assert pickle.loads(pickle.dumps(locator)) == locator
    assert "hush" not in repr(locator)
    with pickle.loads(pickle.dumps(locator)).open() as opened:
        assert opened.uri == census_uri


def test_nothing_at_the_uri_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"census {tmp_path}/none: no SOMA collection can be opened there .*; give the"):
        CensusLocator(uri=str(tmp_path / "none")).open()
    with pytest.raises(BadInput, match=f"census {tmp_path}: no SOMA collection can be opened there"):
        CensusLocator(uri=str(tmp_path)).open()


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("census_data", "a SOMA collection, but not a Census: it has no census_info/census_data"),
        ("census_data/homo_sapiens", "not a Census|no SOMA collection can be opened there"),
        ("census_data/homo_sapiens/obs", "no SOMA collection can be opened there"),
        ("census_info/summary", "no SOMA collection can be opened there"),
    ],
)
def test_another_part_of_a_census_is_not_a_census(census_uri: str, inside: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        CensusLocator(uri=f"{census_uri}/{inside}").open()


def test_a_build_without_its_tables_is_not_complete(tmp_path: Path) -> None:
    with soma.Collection.create(str(tmp_path / "census")) as empty:
        empty.add_new_collection("census_info")
        empty.add_new_collection("census_data")

    with (
        CensusLocator(uri=str(tmp_path / "census")).open() as opened,
        pytest.raises(CxgError, match=r"census_info/summary is missing; this build is not complete"),
    ):
        opened.summary()


def test_x_opens_by_its_own_uri(census_uri: str, census: soma.Collection, release: Release) -> None:
    locator = release.locator({})
    with locator.open() as opened:
        uri = opened.layers("homo_sapiens")["raw"]

    with locator.open_x(uri, n_threads=1, buffer_bytes=2**20) as x:
        assert x.uri == uri
        assert x.tiledb_timestamp_ms == release.timestamp_ms
        assert x.shape == census["census_data"]["homo_sapiens"].ms["RNA"].X["raw"].shape


@pytest.mark.parametrize("inside", ["X/counts", "X", "var"])
def test_what_is_not_an_x_array_is_told_with_what_to_do(census_uri: str, release: Release, inside: str) -> None:
    uri = f"{census_uri}/census_data/homo_sapiens/ms/RNA/{inside}"
    with pytest.raises(BadInput, match=f"census {census_uri}: the X array {uri} cannot be opened .*make the subset"):
        release.locator({}).open_x(uri, n_threads=1, buffer_bytes=2**20)


def test_a_census_that_is_kept_open_is_opened_once_for_each_timestamp(release: Release) -> None:
    locator, later = release.locator({}), replace(release, timestamp_ms=release.timestamp_ms + 1).locator({})
    with keep_open():
        with locator.open() as first:
            pass
        with keep_open(), locator.open() as again, later.open() as other:
            assert again is first
            assert other is not first
        assert not first.root.closed
        assert first.summary()["census_build_date"] == "2025-01-01"

    assert first.root.closed
    assert other.root.closed
    with locator.open() as opened:
        assert opened is not first
    assert opened.root.closed


def test_a_census_as_it_is_now_is_not_shared(census_uri: str) -> None:
    with keep_open(), CensusLocator(uri=census_uri).open() as one, CensusLocator(uri=census_uri).open() as other:
        assert one is not other


def test_other_threads_open_their_own(release: Release) -> None:
    with keep_open(), release.locator({}).open() as mine, ThreadPoolExecutor(1) as thread:
        theirs = thread.submit(release.locator({}).open).result()

    assert theirs is not mine
    assert not theirs.root.closed
    theirs.close()
