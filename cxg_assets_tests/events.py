"""Dagster instances on disk with either event log, and events to record in them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster import DagsterEvent, DagsterEventType, DagsterInstance
from dagster._core.events import StepMaterializationData
from dagster._core.storage.event_log import SqliteEventLogStorage

from cxg_assets.instance.event_log import ReusingSqliteEventLogStorage

KEY = dg.AssetKey(["blood_normal", "h5ad_chunks"])
RUN = "11111111-1111-1111-1111-111111111111"
OURS = {"event_log_storage": {"module": "cxg_assets.instance.event_log", "class": "ReusingSqliteEventLogStorage"}}
"""What `dagster.yaml` says for ours."""


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[DagsterInstance]:
    """An instance with our event log."""
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text(yaml.safe_dump(OURS))
    with DagsterInstance.from_config(str(folder)) as instance:
        assert type(instance.event_log_storage) is ReusingSqliteEventLogStorage
        yield instance


@contextlib.contextmanager
def dagsters(folder: Path) -> Iterator[DagsterInstance]:
    """An instance as Dagster makes it."""
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text("")
    with DagsterInstance.from_config(str(folder)) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        yield instance


def databases(folder: Path) -> SqliteEventLogStorage:
    """What another process would open: Dagster's class on the databases of an instance's folder."""
    return SqliteEventLogStorage(str(folder / "history" / "runs"))


def record(instance: DagsterInstance, partition: str, run_id: str = RUN) -> None:
    """Records a chunk, as a step of the run would."""
    materialization = dg.AssetMaterialization(KEY, partition=partition, tags={"own": partition})
    event = DagsterEvent(
        event_type_value=DagsterEventType.ASSET_MATERIALIZATION.value,
        job_name="chunks",
        event_specific_data=StepMaterializationData(materialization),
    )
    instance.report_dagster_event(event, run_id)


def partitions_of_run(storage: Any, run_id: str = RUN) -> list[str]:
    """Partitions on record for a run, in the order of their events."""
    records = storage.get_records_for_run(run_id).records
    return [record.event_log_entry.dagster_event.partition for record in records]


def recorded(storage: Any) -> list[str]:
    """Partitions on record across runs, in the order of their events."""
    records = storage.fetch_materializations(KEY, limit=1_000, ascending=True).records
    return [record.event_log_entry.dagster_event.partition for record in records]


def opened(instance: DagsterInstance) -> Any:
    """The driver's connection to the events of the run."""
    log: Any = instance.event_log_storage
    with log.run_connection(RUN) as connection:
        return connection.connection.dbapi_connection
