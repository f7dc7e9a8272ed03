"""One kind of fault at a time, on one side: everything lands, as without it."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace

import pytest

from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.chunks.worker import IngestJob, Worker
from cxg_assets.ingest.plan.spans import Span, plan_spans
from cxg_assets_tests.faults.conftest import N_CELLS
from cxg_assets_tests.faults.network import Network, Planned, joinids
from cxg_assets_tests.ingested import run_spans
from cxg_assets_tests.servers.faults import Faults

OUTAGE_SECONDS = 2.0
"""Shorter than TileDB's patience with a request (25 s) and a store's (120 s)."""

STALL_SECONDS = 1.0
"""TileDB takes a line for dead that is silent for longer."""

SEED = 4
"""A proxy then hurts three of its first 10 requests at a rate of 0.2, never three in a row."""

SOURCE_FAULTS = {
    "slow_down": Faults(rates={"slow_down": 0.2}, seed=SEED, limit=2),
    "reset": Faults(rates={"reset": 0.2}, seed=SEED),
    "truncate": Faults(rates={"truncate": 0.2}, seed=SEED),
    "stall": Faults(rates={"stall": 0.2}, seed=SEED, limit=2, stall_seconds=STALL_SECONDS),
    "lost_answer": Faults(rates={"lost_answer": 0.2}, seed=SEED),
}
DESTINATION_FAULTS = {
    name: Faults(rates={name: 0.2}, seed=SEED)
    for name in ("slow_down", "reset", "reset_request", "lost_answer", "corrupt")
} | {
    "truncate": Faults(rates={"truncate": 1.0}, limit=2),
    "stall": Faults(rates={"stall": 0.2}, seed=SEED, limit=2, stall_seconds=STALL_SECONDS),
}


def make_all(job: IngestJob, planned: Planned) -> list[ChunkReport]:
    """Makes all chunks with one worker."""
    reports, failures = run_spans(job, plan_spans(planned.plan.chunks, 1))
    assert failures == []
    return reports


def test_without_faults_each_cell_is_in_one_chunk(undisturbed: Mapping[str, bytes]) -> None:
    assert sorted(joinids(undisturbed)) == list(range(N_CELLS))


@pytest.mark.parametrize("fault", SOURCE_FAULTS)
def test_a_bad_source_changes_nothing(
    fault: str, network: Network, planned: Planned, undisturbed: Mapping[str, bytes]
) -> None:
    network.source.set(SOURCE_FAULTS[fault])
    reports = make_all(planned.job, planned)

    assert network.source.injected()[fault] >= 2
    planned.assert_complete(reports, undisturbed)
    assert sum(report.upload_retries for report in reports) == 0


def test_requests_to_slow_down_are_counted_at_most_once_each(network: Network, planned: Planned) -> None:
    with closing(Worker(planned.job)) as worker:
        worker.open()
        network.source.set(Faults(rates={"slow_down": 1.0}, limit=2))
        results = list(worker.run(Span(planned.plan.chunks)))

    retries = [result.read_retries for result in results if isinstance(result, ChunkReport)]
    assert len(retries) == len(planned.plan.chunks)
    # TileDB does not recognise each of them: see docs/reliability.md.
    assert 0 <= retries[0] <= network.source.injected()["slow_down"] == 2
    assert retries[1:] == [0] * (len(retries) - 1)


@pytest.mark.parametrize("fault", DESTINATION_FAULTS)
def test_a_bad_destination_changes_nothing_and_is_counted(
    fault: str, network: Network, planned: Planned, undisturbed: Mapping[str, bytes]
) -> None:
    network.destination.set(DESTINATION_FAULTS[fault])
    reports = make_all(planned.job, planned)

    hurt = [exchange for exchange in network.destination.exchanges() if exchange.fault == fault]
    assert len(hurt) >= 2
    planned.assert_complete(reports, undisturbed)
    # An answer that comes late is waited for.
    broken = [exchange for exchange in hurt if exchange.method == "PUT" and fault != "stall"]
    assert sum(report.upload_retries for report in reports) == len(broken)
    assert sum(report.read_retries for report in reports) == 0


def test_a_source_that_is_away_for_seconds_is_waited_for_by_tiledb(
    network: Network, planned: Planned, undisturbed: Mapping[str, bytes]
) -> None:
    with closing(Worker(planned.job)) as worker:
        worker.open()
        network.source.forget()
        network.source.begin_outage(OUTAGE_SECONDS)
        results = list(worker.run(Span(planned.plan.chunks)))

    assert network.source.exchanges()
    planned.assert_complete([result for result in results if isinstance(result, ChunkReport)], undisturbed)


def test_a_block_that_tiledb_gives_up_is_begun_anew_and_counted(
    network: Network, planned: Planned, undisturbed: Mapping[str, bytes]
) -> None:
    once = {"vfs.s3.connect_max_tries": "1", "vfs.s3.connect_scale_factor": "1"}
    census = replace(planned.job.census, tiledb_config=(*planned.job.census.tiledb_config, *once.items()))
    with closing(Worker(replace(planned.job, census=census))) as worker:
        worker.open()
        network.source.begin_outage(OUTAGE_SECONDS)
        results = list(worker.run(Span(planned.plan.chunks)))

    reports = [result for result in results if isinstance(result, ChunkReport)]
    planned.assert_complete(reports, undisturbed)
    assert reports[0].read_retries > 0


def test_a_destination_that_is_away_for_seconds_is_waited_for_and_counted(
    network: Network, planned: Planned, undisturbed: Mapping[str, bytes]
) -> None:
    with closing(Worker(planned.job)) as worker:
        made = worker.run(Span(planned.plan.chunks))
        results = [next(made)]
        network.destination.begin_outage(OUTAGE_SECONDS)
        results += made

    reports = [result for result in results if isinstance(result, ChunkReport)]
    planned.assert_complete(reports, undisturbed)
    assert sum(report.upload_retries for report in reports) > 0
