"""Opens the Dagster instance of a folder; made when it is not there, once, whoever else begins at the same time."""

import contextlib
import os
from pathlib import Path
from typing import Any

import yaml
from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef
from sqlalchemy.exc import IntegrityError, ProgrammingError

from cxg_assets.ingest.errors import CxgError
from cxg_assets.instance.databases import EVENTS, LOCK, RUNS, SCHEDULES, make_once
from cxg_assets.instance.failures import reason_of
from cxg_assets.locks import exclusive

HEADING = "# Written by cxg-assets when this Dagster instance was made; yours to change.\n"

DAGSTER_YAML = f"""\
{HEADING}telemetry:
  enabled: false
nux:
  enabled: false
# Dagster looks whether the census index is older than its freshness policy allows.
freshness:
  enabled: true
# At most two runs at once read obs or X of the Census; more wait in the queue, and the UI says so. What the command
# runs counts, and does not wait. On a cluster with room for more, raise it.
concurrency:
  pools:
    granularity: run
    default_limit: 2
# The default SQLite files in the default places. They are made once, however many processes begin at the same time.
run_storage:
  module: cxg_assets.instance.storages
  class: OnceMadeRunStorage
schedule_storage:
  module: cxg_assets.instance.storages
  class: OnceMadeScheduleStorage
# This one is also kept open: recording a chunk takes a third of the time, and a run over 10,000 chunks starts at once
# instead of after a minute.
event_log_storage:
  module: cxg_assets.instance.event_log
  class: ReusingSqliteEventLogStorage
"""

_MOVED = "cxg_assets.event_log"
_EARLIER_EVENT_LOG = f"event_log_storage:\n  module: {_MOVED}\n"
"""How `DAGSTER_YAML` named the event log before it moved."""

_IN_FILES = ("dagster.", "cxg_assets.instance.storages", "cxg_assets.instance.event_log")
"""Modules of storages in SQLite files, and of Dagster's wrappers of others, which are looked at by themselves."""

TRIES = 4
"""There are three storages that another process may be making tables for."""


def open_instance(folder: Path) -> DagsterInstance:
    """Opens the Dagster instance of a folder, and makes what is missing; a `dagster.yaml` of somebody else's stays.

    Raises:
        CxgError: It cannot be made or opened; the message says what to do.
    """
    try:
        _make_config(folder)
        ref = InstanceRef.from_dir(str(folder))
        if _is_on_server(ref):
            return _open_on_server(ref, folder)
        _make_default_databases(ref)
        return DagsterInstance.from_ref(ref)
    except CxgError:
        raise
    except Exception as error:  # a dagster.yaml can name any class, which can raise anything
        reason = reason_of(error)
        if "psycopg" in reason or "dagster_postgres" in reason:
            reason += "; PostgreSQL needs: pip install 'cxg_assets[postgres]'"
        raise CxgError(
            f"the Dagster instance in {folder} cannot be opened: {reason}; see {folder / 'dagster.yaml'}, or set "
            "DAGSTER_HOME to another folder"
        ) from error


def _make_config(folder: Path) -> None:
    """Writes the `dagster.yaml` where there is none, or brings one that was written here up to date, whole at once."""
    config = folder / "dagster.yaml"
    if config.exists() and _MOVED not in config.read_text():
        return
    with exclusive(folder / LOCK):
        text = config.read_text() if config.exists() else DAGSTER_YAML
        if text.startswith(HEADING):
            text = text.replace(_EARLIER_EVENT_LOG, _EARLIER_EVENT_LOG.replace(_MOVED, "cxg_assets.instance.event_log"))
        if _MOVED in text:
            raise CxgError(f"{config} names the module {_MOVED}, which is cxg_assets.instance.event_log now; change it")
        aside = folder / f".{config.name}.unfinished"
        aside.write_text(text)
        os.replace(aside, config)


def _is_on_server(ref: InstanceRef) -> bool:
    """Whether a storage is in a database server, such as PostgreSQL, and not in files of Dagster's classes or ours."""
    storages = (ref.storage_data, ref.run_storage_data, ref.event_storage_data, ref.schedule_storage_data)
    return any(data is not None and not data.module_name.startswith(_IN_FILES) for data in storages)


def _open_on_server(ref: InstanceRef, folder: Path) -> DagsterInstance:
    """Opens an instance whose tables Dagster makes in a server, at first use, without a lock between processes.

    Commands of this machine take turns. Of another machine, and of Dagster's own processes, the tables may appear while
    ours are made: then the next try finds them.
    """
    with exclusive(folder / LOCK):
        for _ in range(TRIES - 1):
            with contextlib.suppress(ProgrammingError, IntegrityError):
                return DagsterInstance.from_ref(ref)
        return DagsterInstance.from_ref(ref)


def _make_default_databases(ref: InstanceRef) -> None:
    """Makes the databases of Dagster's own SQLite classes, which have no lock. Ours see to theirs."""
    storages = {RUNS: ref.run_storage_data, EVENTS: ref.event_storage_data, SCHEDULES: ref.schedule_storage_data}
    for database, storage in storages.items():
        if storage is not None and storage.class_name == database.storage:
            config: Any = yaml.safe_load(storage.config_yaml)
            make_once(database, Path(config["base_dir"]).absolute())
