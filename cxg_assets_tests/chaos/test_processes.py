"""Short versions of the faults of `python -m benchmarks.chaos` that happen to workers, nodes and runs.

What must hold after each (complete, equal bytes, nothing stored twice, nothing left, the UI true) is in
`cxg_assets_tests.servers.chaos.checks`; a test says only what is special.
"""

import os

import pytest

from cxg_assets_tests.chaos.conftest import N_CHUNKS, OutcomeOf
from cxg_assets_tests.servers.chaos import faults

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")


def test_a_worker_is_killed_then_the_destination_is_away_then_a_worker_gets_no_more_memory(
    outcome_of: OutcomeOf,
) -> None:
    outcome = outcome_of(faults.one_after_the_other)

    assert outcome.n_runs == 1
    n_killed = 1
    # Without more memory it may also get by with what it has.
    assert outcome.workers_lost - n_killed in (0, 1)


def test_all_workers_are_killed_in_turn(outcome_of: OutcomeOf) -> None:
    outcome = outcome_of(faults.workers_killed_in_turn)

    assert (outcome.n_runs, outcome.workers_lost) == (1, 4)


def test_a_node_is_killed(outcome_of: OutcomeOf) -> None:
    outcome = outcome_of(faults.node_killed)

    assert (outcome.n_runs, outcome.workers_lost) == (1, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_the_disk_of_a_worker_is_full(outcome_of: OutcomeOf) -> None:
    outcome = outcome_of(faults.disk_full)

    assert outcome.n_runs == 1
    assert outcome.workers_lost >= 1


def test_a_run_is_killed_then_ray_itself_in_the_next_and_dagster_begins_its_step_again(outcome_of: OutcomeOf) -> None:
    outcome = outcome_of(faults.run_then_ray_killed)

    # The killed run has told nothing of itself; what it stored was found by the next.
    assert (outcome.n_runs, outcome.n_launches) == (1, 2)
    assert outcome.n_stored == N_CHUNKS
    assert 0 < outcome.n_found < N_CHUNKS
