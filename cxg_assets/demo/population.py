"""Every demo cell's properties, as a pure function of the seed and of which cell it is.

Nothing here depends on how the work is cut into blocks: a cell's key is a hash of (seed, source dataset, position), and
each property is a hash of that key. So any run of cells can be made at any time, a copy equals its original, and two
builds with one seed agree.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cxg_assets.demo.plan import OrganismPlan, origins
from cxg_assets.demo.reference import Reference

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_POSITION_BITS = 40
_SPATIAL_BIT = 32

_DONOR, _TISSUE, _CELL_TYPE, _PARENT_A, _PARENT_B, _BLEND, _DEPTH_A, _DEPTH_B, _BARCODE, _PANEL = range(10)
_PLACE = 10

# A demo cell blends two real cells of its type. It keeps this many counts for each one that a parent has, split between
# them at random: thinning alone would lose the genes with one count, and the blend brings as many back.
_DEPTH = 1.2
_DEPTH_SPREAD = 0.25
_BLEND_RANGE = (0.5, 0.8)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """The properties of a run of cells, one entry a cell in every array.

    Attributes:
        dataset: Index of the dataset that holds the cell, int64.
        source: Index of the dataset that the cell is original to, int64.
        key: Hash that identifies the cell; its copy has the same, uint64.
        donor: Donor within `source`, int64.
        tissue: Index into the tissues of the source's study, int64.
        cell_type: Index into the sorted cell types of the reference, int64.
        parent_a: First reference cell, int64.
        parent_b: Second reference cell of the same type, int64.
        keep_a: Probability that a count of the first parent is kept, float64.
        keep_b: The same for the second parent.
        position: Which of the cells of `source` it is, int64.
    """

    dataset: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    key: npt.NDArray[np.uint64]
    donor: npt.NDArray[np.int64]
    tissue: npt.NDArray[np.int64]
    cell_type: npt.NDArray[np.int64]
    parent_a: npt.NDArray[np.int64]
    parent_b: npt.NDArray[np.int64]
    keep_a: npt.NDArray[np.float64]
    keep_b: npt.NDArray[np.float64]
    position: npt.NDArray[np.int64]

    @property
    def is_primary(self) -> npt.NDArray[np.bool_]:
        """Whether the cell is the original (`is_primary_data`)."""
        return self.dataset == self.source

    @property
    def barcode(self) -> npt.NDArray[np.uint64]:
        """Hash that stands for the cell's barcode; a copy has the barcode of its original."""
        return _hash(self.key, _BARCODE)


def cell_keys(
    plan: OrganismPlan, source: npt.NDArray[np.int64], position: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    """Return the hash that identifies each cell: it is the one at `position` of the dataset with index `source`."""
    taxon = int(plan.organism.ontology_term_id.partition(":")[2]) | (plan.organism.is_spatial << _SPATIAL_BIT)
    seed = _mix(_mix(np.array([plan.seed], dtype=np.uint64)) ^ np.uint64(taxon))
    return _mix(seed ^ ((source << _POSITION_BITS) | position).astype(np.uint64))


def describe_cells(plan: OrganismPlan, reference: Reference, start: int, stop: int) -> Cells:
    """Return the cells with joinids `start` to `stop - 1`."""
    dataset, source, position = origins(plan, start, stop)
    key = cell_keys(plan, source, position)

    types = list(reference.cells_by_type)
    members = list(reference.cells_by_type.values())
    n_members = np.array([len(cells) for cells in members])
    first_member = np.concatenate([[0], np.cumsum(n_members)[:-1]])
    all_members = np.concatenate(members)

    n_donors = np.array([each.n_donors for each in plan.datasets])
    n_tissues = np.array([max(len(each.study.tissues), 1) for each in plan.datasets])
    cell_type = _draw_types(plan, types, source, _uniform(key, _CELL_TYPE))
    parent_a = _below(key, _PARENT_A, n_members[cell_type])
    # One to n - 1 steps further around the circle: another cell of the type.
    step = 1 + _below(key, _PARENT_B, n_members[cell_type] - 1)
    parent_b = (parent_a + step) % n_members[cell_type]

    # Box and Muller: a normal deviate from two uniform ones.
    radius = np.sqrt(-2.0 * np.log1p(-_uniform(key, _DEPTH_A)))
    depth = _DEPTH * np.exp(_DEPTH_SPREAD * radius * np.cos(2.0 * np.pi * _uniform(key, _DEPTH_B)))
    low, high = _BLEND_RANGE
    blend = low + (high - low) * _uniform(key, _BLEND)
    return Cells(
        dataset=dataset,
        source=source,
        key=key,
        donor=_below(key, _DONOR, n_donors[source]),
        tissue=_below(key, _TISSUE, n_tissues[source]),
        cell_type=cell_type,
        parent_a=all_members[first_member[cell_type] + parent_a],
        parent_b=all_members[first_member[cell_type] + parent_b],
        keep_a=np.minimum(1.0, depth * blend),
        keep_b=np.minimum(1.0, depth * (1.0 - blend)),
        position=position,
    )


def measured_genes(plan: OrganismPlan, reference: Reference) -> npt.NDArray[np.bool_]:
    """Return which genes each study's gene reference knows: bool, (n_datasets, n_vars).

    The choice of rarer lncRNAs is the same at any seed. A study of copies has no row of its own to use: its cells keep
    the genes of their originals.
    """
    dataset = np.arange(len(plan.datasets), dtype=np.uint64)[:, None]
    gene = np.arange(reference.n_vars, dtype=np.uint64)
    lncrna_share = np.array([dataset.study.lncrna_share for dataset in plan.datasets])[:, None]
    is_known = _uniform(_mix(dataset) ^ gene, _PANEL) < lncrna_share
    return is_known | ~reference.is_rare_lncrna


def spot_hash(key: npt.NDArray[np.uint64], axis: int) -> npt.NDArray[np.int64]:
    """Return a hash of each spot that decides where it lies on an axis."""
    return (_hash(key, _PLACE + axis) >> np.uint64(1)).astype(np.int64)


def donor_hash(dataset: int, donor: int, trait: int) -> int:
    """Return a hash that decides a trait of a donor, the same at any seed."""
    key = np.array([(dataset << 20) | (donor << 4) | trait], dtype=np.uint64)
    return int(_mix(key)[0] >> np.uint64(1))


def _draw_types(
    plan: OrganismPlan, types: list[str], source: npt.NDArray[np.int64], u: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Turn uniform numbers into cell types, by the mix of the study that each cell is original to."""
    drawn = np.zeros(len(source), dtype=np.int64)
    for i in np.flatnonzero(np.bincount(source)):
        mix = plan.datasets[i].study.cell_mix
        weights = np.array([mix.get(label, 0.0) for label in types])
        is_here = source == i
        drawn[is_here] = np.searchsorted(np.cumsum(weights) / weights.sum(), u[is_here], side="right")
    return drawn


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Hash each number (the finalizer of splitmix64, which maps 64-bit numbers one to one)."""
    z = x + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _hash(key: npt.NDArray[np.uint64], purpose: int) -> npt.NDArray[np.uint64]:
    """Return a hash of each key for one purpose, independent of those for other purposes."""
    return _mix(key ^ _mix(np.array([purpose + 1], dtype=np.uint64)))


def _uniform(key: npt.NDArray[np.uint64], purpose: int) -> npt.NDArray[np.float64]:
    """Return a number in [0, 1) for each key."""
    return (_hash(key, purpose) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _below(key: npt.NDArray[np.uint64], purpose: int, limit: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return a whole number from 0 to `limit - 1` for each key."""
    return (_uniform(key, purpose) * limit).astype(np.int64)
