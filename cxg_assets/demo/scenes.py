"""Writes the scenes of a spatial experiment: a section each, with the places of its spots and the image below them.

As the Census's builder writes them: a scene has the id of its dataset, its axes are called y and x, and the first of
them holds the first column of the source's `obsm["spatial"]`.
"""

import warnings

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tiledbsoma as soma

from cxg_assets.demo.plan import Dataset, OrganismPlan
from cxg_assets.demo.population import cell_keys
from cxg_assets.demo.sections import BEAD_RADIUS, SPOT_RADIUS, VISIUM, image_size, spots_of
from cxg_assets.demo.tables import open_for_writing

LIBRARY = "library"
"""Under this name a scene has its image."""

IMAGE_SCALE = 0.05
"""Pixels of the stored image for each of the full one."""

_AXES = ("y", "x")
_SPACE = soma.CoordinateSpace(tuple(soma.Axis(name=axis, unit="pixels") for axis in _AXES))
_TISSUE, _GLASS = (201, 142, 189), (236, 233, 238)


def write_scenes(experiment: soma.Experiment, plan: OrganismPlan) -> None:
    """Add `spatial` and `obs_spatial_presence` to an experiment, which is open for writing."""
    with warnings.catch_warnings():
        # tiledbsoma says that its spatial classes are experimental; the Census uses them.
        warnings.filterwarnings("ignore", message="Support for spatial")
        with experiment.add_new_collection("spatial") as spatial:
            for i, dataset in enumerate(plan.datasets):
                with spatial.add_new_collection(dataset.dataset_id, soma.Scene) as scene:
                    _write_scene(scene, plan, i)
    _write_presence(experiment, plan)


def _write_scene(scene: soma.Scene, plan: OrganismPlan, index: int) -> None:
    dataset = plan.datasets[index]
    is_visium = dataset.study.array == VISIUM
    scene.coordinate_space = _SPACE
    position = np.arange(dataset.n_obs)
    places = spots_of(dataset, cell_keys(plan, np.full(dataset.n_obs, index), position), position).coordinates
    joinid = dataset.obs_start + position
    table = pa.table({**dict(zip(_AXES, places.T, strict=True)), "soma_joinid": joinid})
    scene.add_new_collection("obsl")
    with scene.add_new_point_cloud_dataframe(
        "loc",
        "obsl",
        schema=table.schema,
        coordinate_space=_SPACE,
        transform=soma.IdentityTransform(_AXES, _AXES),
        domain=[*((column.min(), column.max()) for column in places.T), (int(joinid[0]), int(joinid[-1]))],
        platform_config={"tiledb": {"create": {"allows_duplicates": True}}},
    ) as located:
        located.write(table)
        located.metadata["soma_geometry"] = SPOT_RADIUS if is_visium else BEAD_RADIUS
        located.metadata["soma_geometry_type"] = "radius"
    if is_visium:
        _write_image(scene, dataset)


def _write_image(scene: soma.Scene, dataset: Dataset) -> None:
    image = _draw(dataset)
    scene.add_new_collection("img")
    with scene.add_new_multiscale_image(
        LIBRARY,
        "img",
        level_key="hires",
        transform=soma.ScaleTransform(_AXES, _AXES, (IMAGE_SCALE, IMAGE_SCALE)),
        coordinate_space=_SPACE,
        level_shape=image.shape,
        type=pa.uint8(),
    ) as levels:
        levels["hires"].write((slice(None),) * 3, pa.Tensor.from_numpy(image))


def _draw(dataset: Dataset) -> npt.NDArray[np.uint8]:
    """Return a picture of a section, stained pink on glass: uint8, (3, height, width)."""
    height, width = (max(1, round(size * IMAGE_SCALE)) for size in image_size(dataset))
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    is_tissue = np.hypot(y, x) < 0.9
    channels = [np.where(is_tissue, of_tissue, of_glass) for of_tissue, of_glass in zip(_TISSUE, _GLASS, strict=True)]
    return np.ascontiguousarray(np.stack(channels).astype(np.uint8))


def _write_presence(experiment: soma.Experiment, plan: OrganismPlan) -> None:
    """Say which scene each spot is in."""
    scene_ids = [dataset.dataset_id for dataset in plan.datasets]
    table = pa.table(
        {
            "soma_joinid": np.arange(plan.n_obs, dtype=np.int64),
            "scene_id": pa.array(np.repeat(scene_ids, [dataset.n_obs for dataset in plan.datasets]), pa.large_string()),
            "data": np.ones(plan.n_obs, bool),
        }
    )
    created = experiment.add_new_dataframe(
        "obs_spatial_presence",
        schema=table.schema,
        index_column_names=["soma_joinid", "scene_id"],
        domain=[(0, plan.n_obs - 1), ("", "")],
    )
    with open_for_writing(created) as presence:
        presence.write(table)
