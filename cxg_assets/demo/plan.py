"""Which cells the demo census holds: the datasets of an organism, their joinids, and whose cells they are."""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cxg_assets.demo.studies import Organism, Study

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


_Int64s = npt.NDArray[np.int64]


def plan_organism(organism: Organism, *, n_obs: int, seed: int, first_dataset_joinid: int) -> OrganismPlan:
    """Share out the cells of an organism, copies included, over its studies.

    `first_dataset_joinid` is that of its first dataset in `census_info/datasets`, which counts over all organisms.
    """
    bounds = np.rint(np.cumsum([0.0, *(study.share for study in organism.studies)]) * n_obs).astype(int).tolist()
    datasets = [
        Dataset(
            study=study,
            soma_joinid=first_dataset_joinid + i,
            obs_start=start,
            n_obs=stop - start,
            n_donors=1 if study.array else min(max((stop - start) // _CELLS_PER_DONOR, _MIN_DONORS), _MAX_DONORS),
        )
        for i, (study, (start, stop)) in enumerate(zip(organism.studies, itertools.pairwise(bounds), strict=True))
    ]
    return OrganismPlan(organism=organism, datasets=tuple(datasets), seed=seed)


def origins(plan: OrganismPlan, start: int, stop: int) -> tuple[_Int64s, _Int64s, _Int64s]:
    """Return where the cells with joinids `start` to `stop - 1` come from.

    Returns:
        For each cell the index of the dataset that holds it; the index of the dataset that it is original to (another
        one for a copy); and its position among the cells of the latter.
    """
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
    return dataset, source, position


def _repeated_cells(plan: OrganismPlan, copies: Dataset, position: _Int64s) -> tuple[_Int64s, _Int64s]:
    """Return (dataset, position) of the originals: an equal share of each repeated study, evenly spaced in it."""
    index_by_title = {dataset.study.title: i for i, dataset in enumerate(plan.datasets)}
    repeated = np.array([index_by_title[title] for title in copies.study.repeats])
    n_originals = np.array([plan.datasets[i].n_obs for i in repeated])
    bounds = np.arange(len(repeated) + 1) * copies.n_obs // len(repeated)
    part = np.searchsorted(bounds, position, side="right") - 1
    n_copies = np.diff(bounds)[part]
    return repeated[part], (position - bounds[part]) * n_originals[part] // n_copies
