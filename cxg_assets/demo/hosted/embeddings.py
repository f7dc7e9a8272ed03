"""A stand-in of the embeddings that the Census hosts beside a release, in its layout.

The numbers are made up: a point for each dataset, and each cell near that of its own, as embeddings are clustered.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tiledbsoma as soma

from cxg_assets.demo.layout import TILE_EXTENT
from cxg_assets.demo.plan import OrganismPlan
from cxg_assets.demo.tables import open_for_writing

if TYPE_CHECKING:
    from cxg_assets.ingest.census.soma_context import SomaContext

FOLDER = "embeddings"
"""Inside the census's folder; no member of its collection."""

N_FEATURES: Mapping[str, int] = {"scvi": 8, "tf-sapiens": 16}
"""Features of each embedding, by name; the real ones have 50 and 2,048."""

MISSING_EVERY = 41
"""Of so many cells one has no embedding."""

_STORAGE = {
    "tiledb": {
        "create": {
            "capacity": 1 << 17,
            "dims": {
                "soma_dim_0": {"tile": TILE_EXTENT, "filters": [{"_type": "ZstdFilter", "level": 3}]},
                "soma_dim_1": {"tile": 512, "filters": [{"_type": "ZstdFilter", "level": 3}]},
            },
            "attrs": {"soma_data": {"filters": ["ByteShuffleFilter", {"_type": "ZstdFilter", "level": 3}]}},
            "cell_order": "row-major",
            "tile_order": "row-major",
            "allows_duplicates": True,
        }
    }
}
_ROWS_PER_WRITE = 1 << 17


def write_embeddings(folder: Path, plan: OrganismPlan, build: str, context: "SomaContext") -> None:
    """Writes `contributions.json`, the manifest, and below `soma/<build>/` an array for each embedding.

    Args:
        folder: Made.
        plan: The organism.
        build: What the Census calls the build.
        context: Of the writing.
    """
    (folder / "soma" / build).mkdir(parents=True)
    manifest: dict[str, dict[str, object]] = {}
    for number, (name, n_features) in enumerate(N_FEATURES.items(), 1):
        embedding_id = f"CxG-demo-{number}"
        about: dict[str, object] = {
            "id": embedding_id,
            "embedding_name": name,
            "title": f"Demo of {name}",
            "data_type": "obs_embedding",
            "experiment_name": plan.organism.name,
            "measurement_name": "RNA",
            "census_version": build,
            "n_embeddings": plan.n_obs - len(range(0, plan.n_obs, MISSING_EVERY)),
            "n_features": n_features,
            "submission_date": build,
        }
        manifest[embedding_id] = about
        _write(folder / "soma" / build / embedding_id, plan, number, n_features, about, context)
    (folder / "contributions.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _write(
    path: Path,
    plan: OrganismPlan,
    number: int,
    n_features: int,
    about: Mapping[str, object],
    context: "SomaContext",
) -> None:
    created = soma.SparseNDArray.create(
        path.as_posix(), type=pa.float32(), shape=(plan.n_obs, n_features), platform_config=_STORAGE, context=context
    )
    with open_for_writing(created) as array:
        array.metadata["CxG_embedding_info"] = json.dumps(about)
        for start in range(0, plan.n_obs, _ROWS_PER_WRITE):
            joinids = np.arange(start, min(start + _ROWS_PER_WRITE, plan.n_obs))
            joinids = joinids[joinids % MISSING_EVERY != 0]
            values = _values(plan, joinids, np.random.default_rng((plan.seed, number, start)), n_features)
            coordinates = {
                "soma_dim_0": np.repeat(joinids, n_features),
                "soma_dim_1": np.tile(np.arange(n_features), len(joinids)),
                "soma_data": values.ravel(),
            }
            array.write(pa.table(coordinates))


def _values(
    plan: OrganismPlan, joinids: npt.NDArray[np.int64], rng: np.random.Generator, n_features: int
) -> npt.NDArray[np.float32]:
    """(n_cells, n_features): each cell near the point of its dataset."""
    starts = np.array([dataset.obs_start for dataset in plan.datasets])
    points = np.random.default_rng((plan.seed, n_features)).normal(0, 4, (len(starts), n_features))
    noise = rng.normal(0, 1, (len(joinids), n_features))
    return (points[np.searchsorted(starts, joinids, side="right") - 1] + noise).astype(np.float32)
