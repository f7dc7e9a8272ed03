"""The event log that stays open, against Dagster's own: what is read back, and where it lies."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster import DagsterEventType, DagsterInstance
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy.exc import OperationalError

from cxg_assets.cli.project import dagster_instance
from cxg_assets.instance.databases import LOCK
from cxg_assets.instance.event_log import ReusingSqliteEventLogStorage
from cxg_assets_tests.cli.command import files_below, move_to
from cxg_assets_tests.events import KEY, OURS, dagsters, databases, ours, partitions_of_run, record, recorded

CHECK = dg.AssetCheckKey(dg.AssetKey("dataset"), "complete")


@dg.asset(key=KEY, partitions_def=dg.StaticPartitionsDefinition(["c0", "c1", "c2"]))
def chunks(context: dg.AssetExecutionContext) -> None:
    for chunk in context.partition_keys:
        metadata = {"n_obs": 3, "uri": "file:///x", "bytes_per_cell": 1.5}
        tags = {"dagster/data_version": f"v-{chunk}", "own": chunk}
        context.log_event(dg.AssetMaterialization(KEY, partition=chunk, metadata=metadata, tags=tags))
    context.log_event(dg.AssetObservation(KEY, metadata={"n_files": 3}))


@dg.asset(deps=[chunks], check_specs=[dg.AssetCheckSpec(CHECK.name, asset=CHECK.asset_key)])
def dataset() -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    yield dg.MaterializeResult(tags={"own": "all"})
    yield dg.AssetCheckResult(passed=False, metadata={"n_missing": 1})


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterInstance]:
    """A range of partitions, one of them again, and a failed check, as a real run left them."""
    job = dg.define_asset_job("chunks", [KEY])
    definitions = dg.Definitions(assets=[chunks, dataset], jobs=[job])
    ends = {"dagster/asset_partition_range_start": "c0", "dagster/asset_partition_range_end": "c2"}
    with DagsterInstance.local_temp(str(tmp_path_factory.mktemp("executed"))) as instance:
        assert definitions.resolve_job_def("chunks").execute_in_process(instance=instance, tags=ends).success
        assert definitions.resolve_job_def("chunks").execute_in_process(instance=instance, partition_key="c1").success
        assert dg.materialize([dataset], instance=instance).success
        yield instance


def replay(executed: DagsterInstance, instance: DagsterInstance) -> None:
    """Stores the same events, with the same ids and times, and what they need of their runs."""
    for run in reversed(list(executed.get_runs())):
        instance.add_run(dg.DagsterRun(job_name=run.job_name, run_id=run.run_id, status=run.status))
        for entry in executed.all_logs(run.run_id):
            instance.event_log_storage.store_event(entry)


def everything(instance: DagsterInstance) -> dict[str, Any]:
    """All that Dagster answers about what is on record, but for the times at which a row was written."""
    log = instance.event_log_storage
    runs = sorted(instance.get_runs(), key=lambda run: run.run_id)
    checks = log.get_asset_check_execution_history(CHECK, limit=10)
    return {
        "runs": [run.run_id for run in runs],
        "events": [log.get_records_for_run(run.run_id).records for run in runs],
        "stats": [log.get_stats_for_run(run.run_id) for run in runs],
        "steps": [log.get_step_stats_for_run(run.run_id) for run in runs],
        "keys": sorted(key.to_user_string() for key in log.all_asset_keys()),
        "assets": sorted((record.asset_entry for record in log.get_asset_records()), key=str),
        "materializations": instance.fetch_materializations(KEY, limit=100).records,
        "observations": instance.fetch_observations(KEY, limit=100).records,
        "planned": instance.fetch_planned_materializations(KEY, limit=100).records,
        "partitions": log.get_materialized_partitions(KEY),
        "latest": log.get_latest_storage_id_by_partition(KEY, DagsterEventType.ASSET_MATERIALIZATION),
        "tags": log.get_event_tags_for_asset(KEY, filter_tags={"dagster/data_version": "v-c1"}),
        "checks": [(check.id, check.run_id, check.status, check.event, check.partition) for check in checks],
        "failed checks": instance.get_event_records(
            dg.EventRecordsFilter(DagsterEventType.ASSET_CHECK_EVALUATION), limit=10
        ),
        "status changes": instance.fetch_run_status_changes(DagsterEventType.PIPELINE_SUCCESS, limit=10).records,
    }


@pytest.fixture(scope="module")
def replayed(executed: DagsterInstance, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an instance with our event log and one with Dagster's, with the same on record."""
    folder = tmp_path_factory.mktemp("replayed")
    with ours(folder / "ours") as mine, dagsters(folder / "dagsters") as theirs:
        replay(executed, mine)
        replay(executed, theirs)
    return folder


@pytest.fixture
def pair(replayed: Path, tmp_path: Path) -> Iterator[tuple[DagsterInstance, DagsterInstance]]:
    """Copies of both, which a test may change."""
    shutil.copytree(replayed, tmp_path, dirs_exist_ok=True)
    with ours(tmp_path / "ours") as mine, dagsters(tmp_path / "dagsters") as theirs:
        yield mine, theirs


Pair = tuple[DagsterInstance, DagsterInstance]


def test_the_same_events_read_back_as_from_dagsters_own(pair: Pair) -> None:
    mine, theirs = (everything(instance) for instance in pair)

    assert [name for name, value in theirs.items() if not value] == []
    for name, value in theirs.items():
        assert mine[name] == value, name


@pytest.mark.parametrize(
    "remove",
    [
        lambda instance: instance.wipe_assets([KEY]),
        lambda instance: instance.delete_run(instance.get_runs()[0].run_id),
        lambda instance: instance.wipe(),
    ],
    ids=["an asset", "a run", "all"],
)
def test_what_is_removed_is_gone_as_with_dagsters_own_and_can_be_recorded_again(
    pair: Pair, remove: Callable[[DagsterInstance], None]
) -> None:
    outcomes = []
    for instance in pair:
        remove(instance)
        record(instance, "after")
        outcomes.append((recorded(instance), partitions_of_run(instance.event_log_storage), instance.get_runs()))

    assert outcomes[0] == outcomes[1]


def test_partitions_can_be_removed_alone_as_dagsters_own_cannot_and_the_logs_of_their_runs_stay(pair: Pair) -> None:
    mine, theirs = pair
    with pytest.raises(NotImplementedError):
        theirs.wipe_asset_partitions(KEY, ["c1"])
    kept, of_runs = [partition for partition in recorded(mine) if partition != "c1"], everything(mine)["events"]

    mine.wipe_asset_partitions(KEY, ["c1"])

    assert recorded(mine) == kept
    assert mine.get_materialized_partitions(KEY) == {"c0", "c2"}
    assert everything(mine)["events"] == of_runs
    record(mine, "c1")
    assert recorded(mine) == [*kept, "c1"]


def test_each_class_reads_what_the_other_has_just_written(tmp_path: Path) -> None:
    with ours(tmp_path) as mine:
        record(mine, "c0")
        record(mine, "c1")
        other = databases(tmp_path)
        assert recorded(other) == partitions_of_run(other) == ["c0", "c1"]
        with dagsters(tmp_path) as theirs:
            record(theirs, "c2")
        assert recorded(mine) == partitions_of_run(mine.event_log_storage) == ["c0", "c1", "c2"]


def test_an_event_whose_database_was_deleted_is_an_error_as_with_dagsters_own(pair: Pair) -> None:
    for instance in pair:
        record(instance, "c0")
        record(instance, "c1")
        shutil.rmtree(Path(instance.root_directory) / "history" / "runs")
        with pytest.raises(OperationalError, match="unable to open database file"):
            record(instance, "c2")


def test_a_migration_goes_over_all_databases(pair: Pair) -> None:
    mine, _ = pair
    before = everything(mine)
    mine.upgrade()
    assert everything(mine) == before


def test_the_command_makes_an_instance_with_it_that_dagster_loads_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_to(tmp_path / "home", "", monkeypatch)
    folder = tmp_path / "home" / "dagster"
    with dagster_instance() as instance, dagsters(tmp_path / "default") as default:
        assert type(instance.event_log_storage) is ReusingSqliteEventLogStorage
        record(instance, "c0")
        record(default, "c0")
        assert isinstance(instance.run_storage, type(default.run_storage))
        assert isinstance(instance.schedule_storage, type(default.schedule_storage))
    made = {name for name in files_below(folder) if Path(name).name != LOCK}
    assert made == set(files_below(tmp_path / "default"))

    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    with DagsterInstance.get() as instance, DagsterInstance.from_ref(instance.get_ref()) as elsewhere:
        assert type(instance.event_log_storage) is type(elsewhere.event_log_storage) is ReusingSqliteEventLogStorage
        assert recorded(instance) == recorded(elsewhere) == ["c0"]


def test_a_copy_of_an_instance_writes_to_the_copy(tmp_path: Path) -> None:
    with ours(tmp_path / "original") as mine:
        record(mine, "c0")
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    with DagsterInstance.from_config(str(tmp_path / "copy")) as copy:
        record(copy, "c1")
        assert recorded(copy) == ["c0", "c1"]
    assert recorded(databases(tmp_path / "original")) == ["c0"]


def test_a_folder_can_be_named(tmp_path: Path) -> None:
    named = {"event_log_storage": OURS["event_log_storage"] | {"config": {"base_dir": str(tmp_path / "events")}}}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(named))
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        record(instance, "c0")
    assert recorded(ReusingSqliteEventLogStorage(str(tmp_path / "events"))) == ["c0"]
    assert not (tmp_path / "history" / "runs").exists()


def test_the_command_leaves_a_dagster_yaml_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    move_to(tmp_path / "home", "", monkeypatch)
    config = tmp_path / "home" / "dagster" / "dagster.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("telemetry:\n  enabled: false\n")
    with dagster_instance() as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
    assert config.read_text() == "telemetry:\n  enabled: false\n"
