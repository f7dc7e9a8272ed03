"""Spots: their chunks are what `get_anndata(modality="census_spatial_sequencing")` returns for them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cellxgene_census
import numpy as np
import pandas as pd
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.chunks.stored_chunk import fetch_chunk
from cxg_assets.ingest.dataset.card import dataset_card
from cxg_assets.ingest.dataset.load import load_dataset
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.layout import index_path
from cxg_assets.ingest.sampling import Order, Split
from cxg_assets.ingest.selection.index import load_index
from cxg_assets.ingest.spec import SPATIAL, SubsetSpec, experiment_name
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.against_census import open_census_cells
from cxg_assets_tests.categories import as_in_subset
from cxg_assets_tests.conftest import N_SPOTS, WELL_MEASURED, Ingest
from cxg_assets_tests.ingested import Ingested

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

get_anndata: Any = cellxgene_census.get_anndata
get_obs: Any = cellxgene_census.get_obs

HUMAN = "homo_sapiens"
WELL_MEASURED_VAR = {"var_value_filter": WELL_MEASURED.value_filter}
COLUMNS = ("dataset_id", "in_tissue", "array_row", "array_col", "assay", "self_reported_ethnicity")


def assert_in_place(adata: Any, census: soma.Collection, scene_ids: list[str]) -> None:
    """obsm and uns are what the scenes of the Census tell, as tiledbsoma reads them."""
    experiment: Any = census[SPATIAL][HUMAN]
    assert adata.obsm["spatial"].shape == (adata.n_obs, 2)
    assert sorted(adata.uns["spatial"]) == scene_ids
    for scene_id, of_scene in adata.obs.assign(row=range(adata.n_obs)).groupby("dataset_id", observed=True):
        located = experiment.spatial[scene_id].obsl["loc"]
        places = located.read().concat().to_pandas().set_index("soma_joinid").loc[of_scene.soma_joinid]
        np.testing.assert_array_equal(adata.obsm["spatial"][of_scene.row], places[["y", "x"]].to_numpy())
        told = adata.uns["spatial"][scene_id]
        assert told["scalefactors"]["spot_diameter_fullres"] == 2 * located.metadata["soma_geometry"]
        assert (list(told["metadata"]["axes"]), told["metadata"]["unit"]) == (["y", "x"], "pixels")
        if "img" in experiment.spatial[scene_id]:
            image = experiment.spatial[scene_id].img["library"]
            assert told["scalefactors"]["tissue_hires_scalef"] == 0.05
            assert tuple(told["metadata"]["hires_shape"]) == image.level_shape(0)
            assert told["metadata"]["library_id"] == "library"
        else:
            assert set(told["scalefactors"]) == {"spot_diameter_fullres"}


@pytest.fixture(scope="module")
def spots(spec: Callable[..., SubsetSpec], ingest: Ingest, tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    """Human spots in tissue and all beads, in three chunks, of which some hold spots of two scenes."""
    value_filter = "in_tissue != 0"
    described = spec(modality=SPATIAL, value_filter=value_filter, obs_columns=COLUMNS, chunk_size=70)
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
        expected = get_anndata(
            census, HUMAN, modality=SPATIAL, obs_coords=cells, obs_column_names=columns, **WELL_MEASURED_VAR
        )
        theirs = as_in_subset(expected.obs.reset_index(drop=True), of=obs)
        pd.testing.assert_frame_equal(adata.obs.reset_index(drop=True), theirs)
        assert (adata.X != expected.X).nnz == 0
        assert adata.var_names.tolist() == expected.var["feature_id"].tolist()
        assert adata.uns["cxg_assets"]["modality"] == SPATIAL
        assert_in_place(adata, census, sorted(obs.dataset_id.unique()))
        joinids += cells
    assert joinids == obs.soma_joinid.tolist()


@pytest.mark.parametrize(
    "how",
    [
        {"format": "zarr", "split": Split(shares={"train": 0.5, "test": 0.5})},
        {"order": Order(kind="fully_shuffled", seed=3), "compression": "none"},
    ],
    ids=["zarr and split", "fully shuffled"],
)
def test_spots_keep_their_places_in_every_format_and_order(
    how: dict[str, Any], spots: Ingested, ingest: Ingest, store_url: str
) -> None:
    ingested = ingest(replace(spots.spec, **{"chunk_size": 60, "compression": "", **how}), store_url)
    assert not ingested.failures
    with open_census_cells(ingested.store, ingested.plan, ingested.census) as cells:
        for chunk in ingested.plan.chunks:
            files = fetch_chunk(ingested.store, ingested.plan.header, chunk)
            assert cells.differences(files, ingested.plan, chunk) == []
            assert cells.differences(files, ingested.plan, chunk, slice(2, 9)) == []
            assert files.read().obsm["spatial"].shape == (chunk.n_obs, 2)


def test_a_spot_at_another_place_is_found(spots: Ingested, tmp_path: Path) -> None:
    chunk = spots.plan.chunks[0]
    adata = spots.read(chunk)
    adata.obsm["spatial"][3, 1] += 1
    [scene_id, *_] = adata.uns["spatial"]
    adata.uns["spatial"][scene_id]["scalefactors"]["spot_diameter_fullres"] = 1.0
    adata.write_h5ad(tmp_path / "moved.h5ad")
    files = fetch_chunk(spots.store, spots.plan.header, chunk)
    moved = replace(files, objects={"": (tmp_path / "moved.h5ad").read_bytes()})
    with open_census_cells(spots.store, spots.plan, spots.census) as cells:
        assert cells.differences(files, spots.plan, chunk) == []
        assert cells.differences(moved, spots.plan, chunk)[:2] == [
            "obsm['spatial'] differs from the places of the scenes",
            f"uns['spatial'] tells of scene {scene_id} otherwise than the Census",
        ]


def test_what_is_published_of_spots_says_so(spots: Ingested) -> None:
    dataset = publish(spots.store, spots.plan, spots.reports, spots.census)
    n_sections = len(spots.subset.scenes)
    assert n_sections > 1
    told = f"| Spots | of {n_sections} sections of census_spatial_sequencing; their places are `obsm[\"spatial\"]` |"
    assert told in dataset_card(spots.plan.header, dataset).decode().splitlines()
    of_spots = load_dataset(spots.store, spots.spec.name)
    first = spots.plan.chunks[0]
    np.testing.assert_array_equal(of_spots.chunk(first.key).obsm["spatial"], spots.read(first).obsm["spatial"])
    assert of_spots.cells(lazy=False).obs["soma_joinid"].size == spots.subset.n_obs


def test_the_index_of_spots_is_another_than_that_of_cells(
    spots: Ingested, blood: Ingested, index_store: Store, release: Any
) -> None:
    both = [index_path(release.version, experiment) for experiment in (HUMAN, experiment_name(HUMAN, SPATIAL))]
    assert set(both) <= set(index_store.sizes("index"))
    indexes = [load_index(index_store, release.version, one) for one in (HUMAN, experiment_name(HUMAN, SPATIAL))]
    assert [index.n_obs for index in indexes] == [blood.subset.n_obs_before, N_SPOTS]


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
