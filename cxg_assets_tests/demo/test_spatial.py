"""The spatial part of the demo census, against what the real builder's sources say and as tiledbsoma reads it."""

from typing import Any

import cellxgene_census
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tiledbsoma as soma

from cxg_assets.demo.layout import SPATIAL_OBS_COLUMNS
from cxg_assets_tests.demo.conftest import N_SPOTS

pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

SPATIAL = "census_spatial_sequencing"
VISIUM, SLIDE_SEQ = "Visium Spatial Gene Expression V1", "Slide-seqV2"

get_anndata: Any = cellxgene_census.get_anndata


@pytest.fixture(params=["homo_sapiens", "mus_musculus"])
def experiment(request: pytest.FixtureRequest, census: soma.Collection) -> Any:
    return census[SPATIAL][request.param]


def table(dataframe: Any) -> Any:
    return dataframe.read().concat().to_pandas()


def test_obs_has_the_real_columns_and_x_is_raw_alone(experiment: Any) -> None:
    assert tuple(experiment.obs.schema.names) == SPATIAL_OBS_COLUMNS
    names = list(SPATIAL_OBS_COLUMNS)
    assert names[names.index("tissue_type") + 1 : names.index("tissue_general")] == [
        "in_tissue", "array_row", "array_col",
    ]  # fmt: skip
    assert {experiment.obs.schema.field(name).type for name in ("in_tissue", "array_row", "array_col")} == {pa.int64()}
    assert list(experiment.ms["RNA"].X) == ["raw"]
    obs = table(experiment.obs)
    assert len(obs) == N_SPOTS
    assert obs.is_primary_data.all()
    assert set(obs.assay) == {VISIUM, SLIDE_SEQ}
    assert set(obs.suspension_type) == {"na"}


def test_every_spot_is_in_the_scene_of_its_dataset(experiment: Any) -> None:
    obs = table(experiment.obs)
    presence = table(experiment.obs_spatial_presence)
    expected = obs[["soma_joinid", "dataset_id"]].rename(columns={"dataset_id": "scene_id"}).assign(data=True)
    pd.testing.assert_frame_equal(presence, expected.astype({"scene_id": presence.scene_id.dtype}))
    assert sorted(experiment.spatial) == sorted(obs.dataset_id.unique())
    for scene_id, scene in experiment.spatial.items():
        assert isinstance(scene, soma.Scene)
        joinids = obs.soma_joinid[obs.dataset_id == scene_id]
        assert sorted(table(scene.obsl["loc"]).soma_joinid) == joinids.tolist()


def test_spots_of_visium_lie_on_its_grid_and_below_them_is_an_image(experiment: Any) -> None:
    obs = table(experiment.obs).set_index("soma_joinid")
    for scene_id, spots in obs[obs.assay == VISIUM].groupby("dataset_id", observed=True):
        scene = experiment.spatial[scene_id]
        located = scene.obsl["loc"]
        assert located.axis_names == ("y", "x")
        assert (located.metadata["soma_geometry_type"], located.metadata["soma_geometry"]) == ("radius", 44.75)
        places = table(located).set_index("soma_joinid").loc[spots.index, list(located.axis_names)].to_numpy()
        assert not spots[["array_row", "array_col"]].duplicated().any()
        assert ((spots.array_row + spots.array_col) % 2 == 0).all()
        assert np.corrcoef(places[:, 0], spots.array_col)[0, 1] == pytest.approx(1)
        assert set(spots.in_tissue) <= {0, 1}
        [(library, image)] = scene.img.items()
        scale = scene.get_transform_to_multiscale_image(library).scale_factors
        height, width = image.level_shape(0)[1:]
        assert (places[:, 0] * scale[0] < width).all()
        assert (places[:, 1] * scale[1] < height).all()
        assert image["hires"].read().to_numpy().std() > 0


def test_beads_of_slide_seq_have_no_grid_and_no_image(experiment: Any) -> None:
    obs = table(experiment.obs)
    beads = obs[obs.assay == SLIDE_SEQ]
    assert len(beads)
    assert (beads[["in_tissue", "array_row", "array_col"]] == np.iinfo(np.int64).min).all(axis=None)
    for scene_id in beads.dataset_id.unique():
        scene = experiment.spatial[scene_id]
        assert "img" not in scene
        assert scene.obsl["loc"].metadata["soma_geometry"] == 2.0


def test_spots_have_counts_of_their_own(census: soma.Collection) -> None:
    adata = get_anndata(census, "Homo sapiens", modality=SPATIAL)
    assert adata.obs.self_reported_ethnicity.str.contains(" || ", regex=False).any()
    np.testing.assert_array_equal(np.asarray(adata.X.sum(axis=1)).ravel(), adata.obs.raw_sum)
    cells = census["census_data"]["homo_sapiens"].obs.read(column_names=["observation_joinid"]).concat().to_pandas()
    assert not set(adata.obs.observation_joinid) & set(cells.observation_joinid)
