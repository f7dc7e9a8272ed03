"""A run over a range of partitions: what it plans is stored at once, and as Dagster would have stored it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInstance

from cxg_assets_tests.events import KEY, dagsters, ours

CHUNKS = [f"{n:05d}" for n in range(40)]
PARTITIONS = dg.DynamicPartitionsDefinition(name="chunks")
RANGE = {"dagster/asset_partition_range_start": CHUNKS[3], "dagster/asset_partition_range_end": CHUNKS[-1]}


@dg.asset(key=KEY, partitions_def=PARTITIONS, backfill_policy=dg.BackfillPolicy.single_run(), output_required=False)
def chunks(context: dg.AssetExecutionContext) -> Iterator[dg.Output[None]]:
    for chunk in context.partition_keys[:5]:
        context.log_event(dg.AssetMaterialization(KEY, partition=chunk))
    raise dg.Failure("the others could not be made")
    yield


JOB = dg.define_asset_job("chunks", [KEY])
DEFINITIONS = dg.Definitions(assets=[chunks], jobs=[JOB])


def planned(instance: DagsterInstance) -> dict[str, Any]:
    """All that Dagster answers about what was planned, and what follows from it."""
    instance.add_dynamic_partitions("chunks", CHUNKS)
    run = DEFINITIONS.resolve_job_def("chunks").execute_in_process(instance=instance, tags=RANGE, raise_on_error=False)
    log = instance.event_log_storage
    of_run = [
        record.event_log_entry.get_dagster_event()
        for record in log.get_records_for_run(run.run_id).records
        if record.event_log_entry.dagster_event_type is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    ]
    across_runs = instance.fetch_planned_materializations(KEY, limit=100).records
    latest = log.get_latest_storage_id_by_partition(KEY, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    [asset] = log.get_asset_records([KEY])
    return {
        "events": sorted((event.partition or "", event.message, event.step_key, event.job_name) for event in of_run),
        "across runs": sorted(record.partition_key or "" for record in across_runs),
        "latest": sorted(latest),
        "status": instance.get_status_by_partition(KEY, CHUNKS, PARTITIONS),
        "of the last run": asset.asset_entry.last_run_id == run.run_id,
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """What both storages answer after the same run."""
    folder: Path = tmp_path_factory.mktemp("planned")
    with ours(folder / "ours") as instance:
        our_answer = planned(instance)
    with dagsters(folder / "dagsters") as instance:
        return our_answer, planned(instance)


def test_what_a_range_plans_is_stored_as_dagster_stores_it(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    our_answer, dagsters_answer = both
    assert our_answer == dagsters_answer


def test_what_was_planned_and_not_made_shows_as_failed(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    our_answer, _ = both
    shown = {chunk: status and status.value for chunk, status in our_answer["status"].items()}
    assert our_answer["events"][0][0] == CHUNKS[3]
    assert shown == {
        **dict.fromkeys(CHUNKS[:3], None),
        **dict.fromkeys(CHUNKS[3:8], "MATERIALIZED"),
        **dict.fromkeys(CHUNKS[8:], "FAILED"),
    }


def test_a_long_range_takes_no_more_commits_than_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ours(tmp_path) as instance:
        instance.add_dynamic_partitions("chunks", CHUNKS)
        log: Any = instance.event_log_storage
        transactions: list[str] = []
        connect = log._connection

        def counted(shard: str, first: Any) -> Any:
            transactions.append(shard)
            return connect(shard, first)

        monkeypatch.setattr(log, "_connection", counted)

        def commits(tags: dict[str, str]) -> int:
            transactions.clear()
            instance.create_run_for_job(DEFINITIONS.resolve_job_def("chunks"), tags=tags)
            return len(transactions)

        short = RANGE | {"dagster/asset_partition_range_end": CHUNKS[4]}
        commits(short)  # makes the tables of the index, and finds out what is there
        assert commits(RANGE) == commits(short) > 0
