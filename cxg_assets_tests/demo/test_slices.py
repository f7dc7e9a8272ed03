"""Chunks of organisms that other tests do not cut are what `get_anndata` of the Census returns; `verify` agrees."""

from pathlib import Path
from typing import Any

import cellxgene_census
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.spec import DEFAULT_OBS_COLUMNS, SubsetSpec
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.demo.conftest import N_PRIMATE_OBS
from cxg_assets_tests.demo.test_contents import PRIMATES
from cxg_assets_tests.ingest.verify.test_against_census import assert_equals_the_census

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

get_anndata: Any = cellxgene_census.get_anndata
get_obs: Any = cellxgene_census.get_obs


@pytest.mark.parametrize("organism", PRIMATES)
def test_chunks_of_another_primate_are_what_get_anndata_returns(
    organism: str, census_path: Path, census: soma.Collection, ingest: Ingest, store_url: str
) -> None:
    made = ingest(SubsetSpec(name="slice", organism=organism, chunk_size=25), store_url, uri=str(census_path))
    columns = ["soma_joinid", *DEFAULT_OBS_COLUMNS]
    obs_of_all = get_obs(census, organism, column_names=columns)

    joinids: list[int] = []
    for chunk in made.plan.chunks:
        adata = made.read(chunk)
        cells = adata.obs["soma_joinid"].to_numpy()
        expected = get_anndata(census, organism, obs_coords=cells, obs_column_names=columns)
        assert_equals_the_census(adata, expected, obs_of_all)
        joinids += cells.tolist()
    assert joinids == obs_of_all.soma_joinid.tolist()
    assert len(joinids) == N_PRIMATE_OBS

    dataset = publish(made.store, made.plan, made.reports, made.census)
    assert verify(made.store, dataset, made.census) == []
