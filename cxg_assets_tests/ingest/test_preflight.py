"""Whatever is wrong with a subset is told before any work, each mistake by its own message."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiledbsoma as soma

from cxg_assets.ingest.census import CensusLocator
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.preflight import check_subset
from cxg_assets.ingest.spec import GeneSelection, SubsetSpec
from cxg_assets.ingest.store import StoreLocator
from cxg_assets_tests.conftest import BLOOD_NORMAL, Bucket

MakeSpec = Callable[..., SubsetSpec]


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"value_filter": BLOOD_NORMAL},
        {"value_filter": "soma_joinid >= 5 and nnz > 0"},
        {"value_filter": "not (sex == 'male' or nnz < 100)"},
        {"organism": "mus_musculus", "genes": None, "layer": "normalized", "max_obs": 1},
    ],
    ids=str,
)
def test_a_subset_that_fits_passes_and_leaves_nothing(
    spec: MakeSpec, census_uri: str, tmp_path: Path, store_url: str, change: dict[str, Any]
) -> None:
    check_subset(spec(**change), CensusLocator(uri=census_uri), StoreLocator(url=store_url).open())

    assert files_below(tmp_path) == []


def test_it_works_on_older_builds_and_in_s3(spec: MakeSpec, old_census_uri: str, s3: Bucket) -> None:
    check_subset(spec(value_filter=BLOOD_NORMAL), CensusLocator(uri=old_census_uri), s3.locator().open())

    assert s3.client.list_objects_v2(Bucket=s3.name)["KeyCount"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"organism": "canis_lupus"}, r"organism: census .* has no 'canis_lupus'; it has homo_sapiens, mus_musculus"),
        ({"value_filter": "tissue_genral == 'blood'"}, r"value_filter.*tissue_genral"),
        ({"value_filter": "tissue == "}, "value_filter"),
        ({"value_filter": "nnz > 'many'"}, "value_filter.*nnz"),
        ({"value_filter": "tissue == 'bloud'"}, r"value_filter: no cell of 2,600 homo_sapiens cells passes .*bloud"),
        ({"obs_columns": ("tissue", "colour")}, "obs_columns: obs has no colour; it has soma_joinid, dataset_id"),
        ({"genes": GeneSelection(feature_ids=("TP53",))}, "genes.feature_ids: 1 of 1 are not in var .*: TP53"),
        ({"genes": GeneSelection(value_filter="nnz > 10000000")}, "genes.value_filter: no gene of 61,517 passes"),
        ({"genes": GeneSelection(value_filter="colour == 1")}, "genes.value_filter.*colour"),
    ],
)
def test_each_mistake_has_its_own_message(
    spec: MakeSpec, census_uri: str, tmp_path: Path, store_url: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        check_subset(spec(**change), CensusLocator(uri=census_uri), StoreLocator(url=store_url).open())

    assert files_below(tmp_path) == []


def test_a_layer_that_this_build_does_not_have_is_bad_input(
    spec: MakeSpec, old_census_uri: str, tmp_path: Path, store_url: str
) -> None:
    shutil.copytree(old_census_uri, tmp_path / "census")
    x_uri = f"{tmp_path}/census/census_data/homo_sapiens/ms/RNA/X"
    with soma.Collection.open(x_uri, "d") as layers:
        del layers["normalized"]
    with pytest.raises(BadInput, match=r"layer: census .* has no X/normalized for homo_sapiens; it has raw"):
        check_subset(
            spec(layer="normalized"), CensusLocator(uri=str(tmp_path / "census")), StoreLocator(url=store_url).open()
        )


def test_no_census_is_bad_input(spec: MakeSpec, tmp_path: Path, store_url: str) -> None:
    with pytest.raises(BadInput, match="nothing: no SOMA collection can be opened there"):
        check_subset(spec(), CensusLocator(uri=str(tmp_path / "nothing")), StoreLocator(url=store_url).open())


def test_a_destination_that_cannot_be_written_is_bad_input(spec: MakeSpec, census_uri: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(BadInput, match=f"destination: {tmp_path}/file"):
        check_subset(spec(), CensusLocator(uri=census_uri), StoreLocator(url=(tmp_path / "file").as_uri()).open())


def test_a_bucket_that_is_not_there_is_bad_input(spec: MakeSpec, census_uri: str, s3: Bucket) -> None:
    missing = StoreLocator(url="s3://no-such-bucket", s3_options=s3.options).open()

    with pytest.raises(BadInput, match="destination: s3://no-such-bucket cannot be written"):
        check_subset(spec(), CensusLocator(uri=census_uri), missing)
