"""Compares where the spots of a chunk lie, and what it tells of their sections, with the Census's own scenes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cxg_assets.ingest.census.census import Census
from cxg_assets.ingest.census.scenes import read_spots
from cxg_assets.ingest.selection.places import OBSM_KEY
from cxg_assets.ingest.selection.subset import Subset
from cxg_assets.ingest.spec import SPATIAL

if TYPE_CHECKING:
    from anndata import AnnData


def spot_differences(census: Census, subset: Subset, adata: "AnnData", joinids: np.ndarray) -> Iterator[str]:
    """Tells what of obsm and uns of spots differs, each in words; nothing of cells.

    Args:
        census: The Census.
        subset: Whose spots they are.
        adata: A chunk, or a part of it.
        joinids: (n_obs,) int64 soma_joinids of its spots.
    """
    if subset.selection.modality != SPATIAL:
        return
    spots = read_spots(census, subset.selection.experiment, joinids)
    if not np.array_equal(np.asarray(adata.obsm.get(OBSM_KEY)), spots.places, equal_nan=True):
        yield f"obsm[{OBSM_KEY!r}] differs from the places of the scenes"
    told: Any = adata.uns.get(OBSM_KEY, {})
    if set(told) != set(subset.scenes):
        yield f"uns[{OBSM_KEY!r}] has not the scenes of the subset"
    for scene_id, scene in spots.scenes.items():
        if not _is_equal(told.get(scene_id), scene.told):
            yield f"uns[{OBSM_KEY!r}] tells of scene {scene_id} otherwise than the Census"


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(other, dict):
        return set(one or ()) == set(other) and all(_is_equal(one[name], value) for name, value in other.items())
    return bool(np.array_equal(one, other))
