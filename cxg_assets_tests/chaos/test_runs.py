"""Short versions of the faults of `python -m benchmarks.chaos` that happen to stores, plans and what the UI runs."""

import pytest

from cxg_assets_tests.chaos.conftest import N_CHUNKS, OutcomeOf
from cxg_assets_tests.servers.chaos import faults

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")


def test_a_chunk_always_fails_until_it_does_not(outcome_of: OutcomeOf) -> None:
    outcome = outcome_of(faults.chunk_fails, pool="local")

    assert outcome.n_runs == 2
    assert outcome.n_found == N_CHUNKS - 1
    assert outcome.retries == 2


def test_two_runs_make_the_same_plan_at_once(outcome_of: OutcomeOf) -> None:
    outcome = outcome_of(faults.two_runs, pool="local")

    assert (outcome.n_runs, outcome.n_stored) == (2, N_CHUNKS)


def test_another_plan_is_made_while_a_plan_is_being_ingested(outcome_of: OutcomeOf) -> None:
    assert outcome_of(faults.new_plan, pool="local").n_chunks < N_CHUNKS


def test_the_census_is_replaced_under_a_run(outcome_of: OutcomeOf) -> None:
    assert outcome_of(faults.census_replaced, pool="local").n_chunks < N_CHUNKS


def test_a_run_is_terminated_in_the_ui_and_the_daemon_restarted_in_the_backfill_of_the_rest(
    outcome_of: OutcomeOf,
) -> None:
    outcome = outcome_of(faults.terminated_and_daemon_restarted)

    assert outcome.n_stored == N_CHUNKS
    assert outcome.n_found > 0
