"""Where the spots of a section lie, as a pure function of the cell: on Visium's grid, or at random on a puck.

Visium has 64 spots in each of 78 rows, every other row shifted by half a step; `array_col` counts half steps. A bead of
Slide-seq can lie where another does, as in the real ones.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cxg_assets.demo.plan import Dataset, OrganismPlan
from cxg_assets.demo.population import Cells, spot_hash

VISIUM = "visium"
SPOT_RADIUS = 44.75
"""Of a Visium spot, in pixels of the full image."""
BEAD_RADIUS = 2.0
"""The Census's own constant for Slide-seq."""

_SPOTS_PER_ROW = 64
_HALF_STEP, _ROW_STEP, _MARGIN = 68.5, 118.5, 200.0
_PUCK = 5_000
_NO_NUMBER = np.iinfo(np.int64).min
"""What the Census's builder puts where a dataset has no such column."""

_Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Spots:
    """The spots of a section, one entry a spot.

    Attributes:
        row: Of the array; of Slide-seq a number that stands for none, int64.
        column: The same.
        in_tissue: 1 where there is tissue, else 0; of Slide-seq that number, int64.
        coordinates: Pixels of the full image, horizontal first, float64, (n_spots, 2).
    """

    row: _Int64s
    column: _Int64s
    in_tissue: _Int64s
    coordinates: npt.NDArray[np.float64]


def spots_of(dataset: Dataset, key: npt.NDArray[np.uint64], position: _Int64s) -> Spots:
    """Return some spots of a section, of which key and position are those of `population.Cells`."""
    if dataset.study.array != VISIUM:
        none = np.full(len(key), _NO_NUMBER, np.int64)
        places = np.stack([spot_hash(key, axis) % _PUCK for axis in (0, 1)], axis=1)
        # Whole numbers, so that some beads share a place.
        return Spots(row=none, column=none, in_tissue=none, coordinates=places.astype(np.float64))
    row = position // _SPOTS_PER_ROW
    column = 2 * (position % _SPOTS_PER_ROW) + row % 2
    n_rows = -(-dataset.n_obs // _SPOTS_PER_ROW)
    from_middle = np.hypot((column - _SPOTS_PER_ROW) / _SPOTS_PER_ROW, (2 * row + 1 - n_rows) / n_rows)
    return Spots(
        row=row,
        column=column,
        in_tissue=(from_middle < 0.9).astype(np.int64),
        coordinates=np.stack([_MARGIN + column * _HALF_STEP, _MARGIN + row * _ROW_STEP], axis=1, dtype=np.float64),
    )


def image_size(dataset: Dataset) -> tuple[int, int]:
    """Return height and width of the full image of a Visium section, in pixels."""
    n_rows = -(-dataset.n_obs // _SPOTS_PER_ROW)
    return int(2 * _MARGIN + n_rows * _ROW_STEP), int(2 * _MARGIN + 2 * _SPOTS_PER_ROW * _HALF_STEP)


def array_columns(plan: OrganismPlan, cells: Cells) -> dict[str, _Int64s]:
    """Return the columns that obs of spots has besides: in_tissue, array_row, array_col."""
    columns = {name: np.empty(len(cells.key), np.int64) for name in ("in_tissue", "array_row", "array_col")}
    for i in np.unique(cells.source):
        is_here = cells.source == i
        spots = spots_of(plan.datasets[i], cells.key[is_here], cells.position[is_here])
        for name, values in zip(columns, (spots.in_tissue, spots.row, spots.column), strict=True):
            columns[name][is_here] = values
    return columns
