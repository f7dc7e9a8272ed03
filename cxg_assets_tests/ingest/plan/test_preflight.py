"""Whatever is wrong with a subset is told before any work, each mistake by its own message."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiledbsoma as soma

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.plan.preflight import check_subset
from cxg_assets.ingest.spec import GeneSelection, SubsetSpec
from cxg_assets_tests.conftest import BLOOD_NORMAL

MakeSpec = Callable[..., SubsetSpec]


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
def test_a_subset_that_fits_passes(spec: MakeSpec, census_uri: str, change: dict[str, Any]) -> None:
    check_subset(spec(**change), CensusLocator(uri=census_uri))


def test_it_works_on_older_builds(spec: MakeSpec, old_census_uri: str) -> None:
    check_subset(spec(value_filter=BLOOD_NORMAL), CensusLocator(uri=old_census_uri))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"organism": "canis_lupus"}, r"organism: census .* has no 'canis_lupus'; it has homo_sapiens, mus_musculus"),
        ({"value_filter": "tissue_genral == 'blood'"}, r"value_filter.*tissue_genral"),
        ({"value_filter": "tissue == "}, "value_filter"),
        ({"value_filter": "nnz > 'many'"}, "value_filter.*nnz"),
        ({"value_filter": "tissue == 'bloud'"}, r"value_filter: no cell of 2,600 homo_sapiens cells passes .*bloud"),
        ({"obs_columns": ("tissue", "colour")}, "obs_columns: obs has no colour; it has soma_joinid, dataset_id"),
        ({"genes": GeneSelection(feature_ids=("TP35",))}, "genes.feature_ids: 1 of 1 are not in var .*: TP35"),
        ({"genes": GeneSelection(value_filter="nnz > 10000000")}, "genes.value_filter: no gene of 61,517 passes"),
        ({"genes": GeneSelection(value_filter="colour == 1")}, "genes.value_filter.*colour"),
    ],
)
def test_each_mistake_has_its_own_message(
    spec: MakeSpec, census_uri: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        check_subset(spec(**change), CensusLocator(uri=census_uri))


def test_a_layer_that_this_build_does_not_have_is_bad_input(
    spec: MakeSpec, old_census_uri: str, tmp_path: Path
) -> None:
    shutil.copytree(old_census_uri, tmp_path / "census")
    x_uri = f"{tmp_path}/census/census_data/homo_sapiens/ms/RNA/X"
    with soma.Collection.open(x_uri, "d") as layers:
        del layers["normalized"]
    with pytest.raises(BadInput, match=r"layer: census .* has no X/normalized for homo_sapiens; it has raw"):
        check_subset(spec(layer="normalized"), CensusLocator(uri=str(tmp_path / "census")))


def test_no_census_is_bad_input(spec: MakeSpec, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing: no SOMA collection can be opened there"):
        check_subset(spec(), CensusLocator(uri=str(tmp_path / "nothing")))
