"""Cells are a pure function of seed and identity, however the work is cut into blocks."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import numpy as np
import pytest

from cxg_assets.demo.counts import CountBlock, draw_counts
from cxg_assets.demo.layout import TILE_EXTENT
from cxg_assets.demo.plan import OrganismPlan, plan_organism
from cxg_assets.demo.population import describe_cells, measured_genes
from cxg_assets.demo.reference import Reference, load_reference
from cxg_assets.demo.studies import Organism, ontology_ids, organisms

HUMAN = organisms()[0]


@pytest.fixture(scope="module")
def reference() -> Reference:
    return load_reference("homo_sapiens")


@pytest.fixture(scope="module")
def plan() -> OrganismPlan:
    return plan_organism(HUMAN, n_obs=6_000, seed=3, first_dataset_joinid=0)


def draw(plan: OrganismPlan, reference: Reference, start: int, stop: int) -> CountBlock:
    with ThreadPoolExecutor(2) as threads:
        return draw_counts(
            describe_cells(plan, reference, start, stop),
            start=start,
            reference=reference,
            is_measured=measured_genes(plan, reference),
            threads=threads,
        )


def test_counts_come_in_global_order(plan: OrganismPlan, reference: Reference) -> None:
    block = draw(plan, reference, 1_500, 2_700)
    assert len(np.unique(block.cell // TILE_EXTENT)) > 1
    order = np.lexsort((block.gene, block.cell, block.gene // TILE_EXTENT, block.cell // TILE_EXTENT))
    np.testing.assert_array_equal(order, np.arange(len(order)))
    assert len(np.unique(block.cell * reference.n_vars + block.gene)) == len(order)
    assert (block.raw > 0).all()


def test_blocks_do_not_change_cells(plan: OrganismPlan, reference: Reference) -> None:
    whole = describe_cells(plan, reference, 0, plan.n_obs)
    part = describe_cells(plan, reference, 2_500, 5_900)
    for field in fields(whole):
        np.testing.assert_array_equal(getattr(whole, field.name)[2_500:5_900], getattr(part, field.name))

    counts, some = draw(plan, reference, 1_700, 2_500), draw(plan, reference, 1_834, 2_345)
    is_shared = (counts.cell >= 1_834) & (counts.cell < 2_345)
    order = np.lexsort((counts.gene[is_shared], counts.cell[is_shared]))
    some_order = np.lexsort((some.gene, some.cell))
    for name in ("cell", "gene", "raw", "normalized"):
        np.testing.assert_array_equal(getattr(counts, name)[is_shared][order], getattr(some, name)[some_order])


def test_parents_are_two_reference_cells_of_the_cells_type(plan: OrganismPlan, reference: Reference) -> None:
    cells = describe_cells(plan, reference, 0, plan.n_obs)
    members = list(reference.cells_by_type.values())
    assert (cells.parent_a != cells.parent_b).all()
    for code, allowed in enumerate(members):
        of_type = cells.cell_type == code
        assert np.isin(cells.parent_a[of_type], allowed).all()
        assert np.isin(cells.parent_b[of_type], allowed).all()


@pytest.mark.parametrize("organism", organisms(), ids=lambda organism: organism.name)
def test_every_reference_type_has_an_ontology_term(organism: Organism) -> None:
    reference = load_reference(organism.name)
    assert set(reference.cells_by_type) == set(ontology_ids()["cell_type"])
    assert sum(map(len, reference.cells_by_type.values())) == len(reference.indptr) - 1 == 559
    assert (np.diff(reference.indptr) > 0).all()


@pytest.mark.parametrize("organism", organisms(), ids=lambda organism: organism.name)
@pytest.mark.parametrize("n_obs", [60, 200, 2_001])
def test_plan_uses_every_cell_once(organism: Organism, n_obs: int) -> None:
    planned = plan_organism(organism, n_obs=n_obs, seed=0, first_dataset_joinid=5)
    assert planned.n_obs == n_obs
    assert sum(study.share for study in planned.organism.studies) == pytest.approx(1.0)
    ends = [dataset.obs_start + dataset.n_obs for dataset in planned.datasets]
    assert [dataset.obs_start for dataset in planned.datasets] == [0, *ends[:-1]]
    assert all(dataset.n_obs > 0 for dataset in planned.datasets)
