"""Which cells the demo census holds: the datasets of an organism, their joinids, and whose cells they are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cxg_assets.demo.studies import Organism, Study

MIN_OBS = 200
"""Smallest number of human cells: fewer would leave datasets without cells."""

_MOUSE_SHARE = 20
_MOUSE_MIN_OBS = 60
_MOUSE_MAX_OBS = 1_000
_CELLS_PER_DONOR = 500
_MIN_DONORS = 4
_MAX_DONORS = 24


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A study in the census: its cells are the joinids `obs_start` to `obs_start + n_obs - 1`."""

    study: Study
    soma_joinid: int
    obs_start: int
    n_obs: int
    n_donors: int

    @property
    def dataset_id(self) -> str:
        """A fixed id, made to look invented."""
        return f"de300000-0000-4000-8000-{self.soma_joinid:012x}"


@dataclass(frozen=True, kw_only=True)
class OrganismPlan:
    """The datasets of one organism, in joinid order."""

    organism: Organism
    datasets: tuple[Dataset, ...]
    seed: int

    @property
    def n_obs(self) -> int:
        """Number of cells, copies included."""
        return sum(dataset.n_obs for dataset in self.datasets)


@dataclass(frozen=True, kw_only=True, eq=False)
class Origins:
    """Where the cells of a run of joinids come from. All arrays have one entry a cell.

    Attributes:
        dataset: Index of the dataset that holds the cell here, int64.
        source: Index of the dataset that the cell is original to, int64; differs from `dataset` for a copy.
        position: Position of the cell among those of `source`, int64.
    """

    dataset: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]


def n_mouse_obs(n_obs: int) -> int:
    """Return the number of mouse cells that go with `n_obs` human ones."""
    return min(max(n_obs // _MOUSE_SHARE, _MOUSE_MIN_OBS), _MOUSE_MAX_OBS)


def plan_organism(organism: Organism, *, n_obs: int, seed: int, first_dataset_joinid: int) -> OrganismPlan:
    """Share out the cells of an organism over its studies.

    Args:
        organism: The organism.
        n_obs: Number of its cells, copies included.
        seed: Seed of the census.
        first_dataset_joinid: Joinid of its first dataset in `census_info/datasets`, which counts over all organisms.
    """
    bounds = np.rint(np.cumsum([0.0, *(study.share for study in organism.studies)]) * n_obs).astype(int)
    return OrganismPlan(
        organism=organism,
        seed=seed,
        datasets=tuple(
            Dataset(
                study=study,
                soma_joinid=first_dataset_joinid + i,
                obs_start=int(bounds[i]),
                n_obs=int(bounds[i + 1] - bounds[i]),
                n_donors=int(np.clip((bounds[i + 1] - bounds[i]) // _CELLS_PER_DONOR, _MIN_DONORS, _MAX_DONORS)),
            )
            for i, study in enumerate(organism.studies)
        ),
    )


def origins(plan: OrganismPlan, start: int, stop: int) -> Origins:
    """Return where the cells with joinids `start` to `stop - 1` come from."""
    joinid = np.arange(start, stop, dtype=np.int64)
    starts = np.array([dataset.obs_start for dataset in plan.datasets])
    dataset = np.searchsorted(starts, joinid, side="right") - 1
    source = dataset.copy()
    position = joinid - starts[dataset]
    for i, copies in enumerate(plan.datasets):
        if not copies.study.repeats:
            continue
        is_copy = dataset == i
        source[is_copy], position[is_copy] = _repeated_cells(plan, copies, position[is_copy])
    return Origins(dataset=dataset, source=source, position=position)


def _repeated_cells(
    plan: OrganismPlan, copies: Dataset, position: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return (dataset, position) of the originals: an equal share of each repeated study, evenly spaced in it."""
    index_by_title = {dataset.study.title: i for i, dataset in enumerate(plan.datasets)}
    repeated = np.array([index_by_title[title] for title in copies.study.repeats])
    n_originals = np.array([plan.datasets[i].n_obs for i in repeated])
    bounds = np.arange(len(repeated) + 1) * copies.n_obs // len(repeated)
    part = np.searchsorted(bounds, position, side="right") - 1
    n_copies = np.diff(bounds)[part]
    return repeated[part], (position - bounds[part]) * n_originals[part] // n_copies
