"""Spots: their chunks are what `get_anndata(modality="census_spatial_sequencing")` returns for them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cellxgene_census
import pandas as pd
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.layout import index_path
from cxg_assets.ingest.selection.label_check import newest_index
from cxg_assets.ingest.spec import SPATIAL, SubsetSpec, experiment_name
from cxg_assets.ingest.storage.store import Store
from cxg_assets_tests.categories import as_in_subset
from cxg_assets_tests.conftest import N_SPOTS, Ingest
from cxg_assets_tests.ingested import Ingested

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

get_anndata: Any = cellxgene_census.get_anndata
get_obs: Any = cellxgene_census.get_obs

HUMAN = "homo_sapiens"
COLUMNS = ("dataset_id", "in_tissue", "array_row", "array_col", "assay", "self_reported_ethnicity")


@pytest.fixture(scope="module")
def spots(spec: Callable[..., SubsetSpec], ingest: Ingest, tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    """Human spots in tissue and all beads, in three chunks, of which some hold spots of two scenes."""
    value_filter = "in_tissue != 0"
    described = spec(modality=SPATIAL, value_filter=value_filter, obs_columns=COLUMNS, genes=None, chunk_size=70)
    ingested = ingest(described, tmp_path_factory.mktemp("spots").as_uri())
    assert not ingested.failures
    return ingested


def test_chunks_of_spots_equal_get_anndata(spots: Ingested, census: soma.Collection) -> None:
    columns = ["soma_joinid", *COLUMNS]
    value_filter = spots.spec.value_filter
    obs = get_obs(census, HUMAN, modality=SPATIAL, value_filter=value_filter, column_names=columns)
    assert 0 < len(obs) < N_SPOTS
    assert len(spots.plan.chunks) > 1
    joinids: list[int] = []
    for chunk in spots.plan.chunks:
        adata = spots.read(chunk)
        cells = adata.obs["soma_joinid"].tolist()
        expected = get_anndata(census, HUMAN, modality=SPATIAL, obs_coords=cells, obs_column_names=columns)
        theirs = as_in_subset(expected.obs.reset_index(drop=True), of=obs)
        pd.testing.assert_frame_equal(adata.obs.reset_index(drop=True), theirs)
        assert (adata.X != expected.X).nnz == 0
        assert adata.var_names.tolist() == expected.var["feature_id"].tolist()
        assert adata.uns["cxg_assets"]["modality"] == SPATIAL
        joinids += cells
    assert joinids == obs.soma_joinid.tolist()


def test_the_index_of_spots_is_another_than_that_of_cells(
    spots: Ingested, blood: Ingested, index_store: Store, release: Any
) -> None:
    both = [index_path(release.version, experiment) for experiment in (HUMAN, experiment_name(HUMAN, SPATIAL))]
    assert set(both) <= set(index_store.sizes("index"))
    newest = [newest_index(index_store, experiment) for experiment in (HUMAN, experiment_name(HUMAN, SPATIAL))]
    assert [index and index.n_obs for index in newest] == [blood.subset.n_obs_before, N_SPOTS]


def test_modality_is_told_and_tells_subsets_apart(spots: Ingested) -> None:
    of_cells = replace(spots.spec, modality="census_data")
    assert spots.subset.selection.differences(spots.spec) == []
    told = "modality was census_spatial_sequencing, is now census_data"
    assert spots.subset.selection.differences(of_cells) == [told]


def test_spots_have_no_normalized_layer(spec: Callable[..., SubsetSpec]) -> None:
    says = "spots have raw counts alone; take normalized out with modality: census_spatial_sequencing"
    with pytest.raises(BadInput, match=f"layer: {says}"):
        spec(modality=SPATIAL, layer="normalized")
    with pytest.raises(BadInput, match=f"layers: {says}"):
        spec(modality=SPATIAL, further_layers={"normalized": "normalized"})
