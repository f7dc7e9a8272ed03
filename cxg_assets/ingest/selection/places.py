"""Where the spots of a subset lie, as columns of its obs file, from which each chunk gets its `obsm["spatial"]`."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.scenes import Scene, Spots, read_spots
from cxg_assets.ingest.selection.choices import batches_of
from cxg_assets.ingest.selection.obs_rows import Rows
from cxg_assets.ingest.storage.feather import FeatherSource

OBSM_KEY = "spatial"
PLACES = ("spatial_0", "spatial_1")
"""Columns of a subset's obs file, where its cells are spots: what obsm has, in the order of the scene's axes."""


def spots_of(index_source: FeatherSource, rows: Rows, experiment: str, census: CensusLocator) -> Spots:
    """Where the spots of some rows of an index lie, in the order of the rows."""
    batches = partial(batches_of, index_source, rows, ["soma_joinid"])
    joinids = np.concatenate([batch["soma_joinid"].to_numpy() for batch in batches()])
    with census.open() as opened:
        return read_spots(opened, experiment, joinids)


def place_fields() -> list[pa.Field]:
    """The columns."""
    return [pa.field(name, pa.float64()) for name in PLACES]


def with_places(batches: Iterator[pa.RecordBatch], spots: Spots) -> Iterator[pa.RecordBatch]:
    """The same rows with the place of each."""
    start = 0
    for batch in batches:
        of_batch = spots.places[start : start + batch.num_rows]
        start += batch.num_rows
        for field, values in zip(place_fields(), of_batch.T, strict=True):
            batch = batch.append_column(field, pa.array(values))
        yield batch


def uns_of(scenes: Mapping[str, Scene]) -> dict[str, Any]:
    """What every chunk's `uns` has besides its provenance: of spots what the Census tells of their sections."""
    return {OBSM_KEY: {name: scene.told for name, scene in sorted(scenes.items())}} if scenes else {}


def obsm_of(obs: pa.Table) -> dict[str, np.ndarray]:
    """What `obsm` of some rows of a subset's obs file is: (n_obs, 2) float64 of spots, nothing of cells."""
    if PLACES[0] not in obs.column_names:
        return {}
    return {OBSM_KEY: np.stack([obs[name].to_numpy() for name in PLACES], axis=1)}
