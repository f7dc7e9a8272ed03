"""The scenes of a spatial experiment: where its spots lie, and what the Census tells of each section.

tiledbsoma's query gives neither with its AnnData, so they are read from the scenes themselves.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cxg_assets.ingest.census.census import IO_THREADS, Census
from cxg_assets.ingest.errors import CxgError, shown_path

if TYPE_CHECKING:
    from cxg_assets.ingest.census.soma_context import SomaContext

N_AXES = 2

_LOCATIONS, _IMAGES = "loc", "img"
_RADIUS = "soma_geometry"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What the Census tells of a section.

    Attributes:
        axes: Names of its axes; places of spots are in this order, which is that of the source's `obsm["spatial"]`.
        unit: Of the axes: pixels of the full image; empty where it is not told.
        spot_radius: In that unit.
        library_id: Under which its image lies in the Census; empty where it has none, as of Slide-seq.
        image_shape: Channels, height and width of the high-resolution image; empty where there is none.
        image_scale: Pixels of that image for each unit of the axes; 0 where there is none.
    """

    axes: tuple[str, ...]
    unit: str
    spot_radius: float
    library_id: str = ""
    image_shape: tuple[int, ...] = ()
    image_scale: float = 0.0

    @property
    def told(self) -> dict[str, Any]:
        """As `uns["spatial"]` has it: where scanpy and squidpy look for it, under the names that they have for it."""
        factors = {"spot_diameter_fullres": 2 * self.spot_radius}
        metadata: dict[str, Any] = {"axes": np.array(self.axes, dtype=object), "unit": self.unit}
        if self.library_id:
            factors["tissue_hires_scalef"] = self.image_scale
            metadata |= {"library_id": self.library_id, "hires_shape": np.array(self.image_shape, np.int64)}
        return {"scalefactors": factors, "metadata": dict(sorted(metadata.items()))}


@dataclass(frozen=True, eq=False)
class Spots:
    """Where spots lie.

    Attributes:
        places: In the order of the scene's axes, (n_obs, 2) float64; NaN where no scene has the spot.
        scenes: The scenes that they are in, by id.
    """

    places: np.ndarray
    scenes: Mapping[str, Scene]


def read_spots(census: Census, experiment: str, joinids: np.ndarray) -> Spots:
    """Reads where spots lie, from all scenes that they are in, several at once.

    Takes some twenty requests a scene. Memory: 24 bytes a spot, and the spots of a scene for each thread.

    Args:
        census: The Census.
        experiment: By the name that `spec.experiment_name` gives it.
        joinids: (n_obs,) int64 soma_joinids of the spots, each once, in any order.

    Raises:
        CxgError: A spot is in several scenes, or a scene has other than two axes.
    """
    opened: Any = census.experiment(experiment)
    order = np.argsort(joinids)
    known = joinids[order]
    presence = opened.obs_spatial_presence.read(column_names=["soma_joinid", "scene_id", "data"]).concat()
    is_asked = pc.call_function("is_in", [presence["soma_joinid"]], pc.SetLookupOptions(pa.array(known)))
    presence = presence.filter(pc.call_function("and", [is_asked, presence["data"]]))
    if len(presence["soma_joinid"].unique()) < presence.num_rows:
        raise CxgError(f"census {shown_path(census.uri)}: spots of {experiment} are in several scenes at once")
    scene_ids = sorted(presence["scene_id"].unique().to_pylist())
    uris = opened.spatial.members()
    places = np.full((len(joinids), N_AXES), np.nan)
    with ThreadPoolExecutor(IO_THREADS) as threads:
        found = threads.map(lambda scene_id: _read_scene(uris[scene_id][0], opened.context), scene_ids)
        scenes: dict[str, Scene] = {}
        for scene_id, (scene, of_spots, located) in zip(scene_ids, found, strict=True):
            if len(scene.axes) != N_AXES:
                raise CxgError(f"census {shown_path(census.uri)}: scene {scene_id} has axes {', '.join(scene.axes)}")
            rows = np.searchsorted(known, of_spots)
            is_here = known[np.minimum(rows, len(known) - 1)] == of_spots
            places[order[rows[is_here]]] = located[is_here]
            scenes[scene_id] = scene
    return Spots(places, scenes)


def _read_scene(uri: str, context: "SomaContext") -> tuple[Scene, np.ndarray, np.ndarray]:
    """A scene, the soma_joinids of its spots, (n,) int64, and where they lie, (n, n_axes) float64."""
    import tiledbsoma

    with tiledbsoma.Scene.open(uri, context=context) as scene:
        located: Any = scene.obsl[_LOCATIONS]
        axes: tuple[str, ...] = located.axis_names
        table = located.read(column_names=["soma_joinid", *axes]).concat()
        places = np.stack([table[axis].to_numpy().astype(np.float64) for axis in axes], axis=1)
        image: dict[str, Any] = {}
        if _IMAGES in scene and len(libraries := sorted(scene.img)):
            scale: Any = scene.get_transform_to_multiscale_image(libraries[0])
            picture: Any = scene.img[libraries[0]]
            image = {
                "library_id": libraries[0],
                "image_shape": tuple(int(size) for size in picture.level_shape(0)),
                "image_scale": float(scale.scale_factors[0]),
            }
        told = Scene(
            axes=axes,
            unit=located.coordinate_space[0].unit or "",
            spot_radius=float(located.metadata.get(_RADIUS, 0.0)),
            **image,
        )
        return told, table["soma_joinid"].to_numpy(), places
