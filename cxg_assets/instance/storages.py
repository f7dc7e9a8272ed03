"""Dagster's SQLite storages of runs and of schedules, in databases that are made once however many processes begin.

`cxg_assets.instance.event_log` is the third, of events. In `dagster.yaml`:

    run_storage:
      module: cxg_assets.instance.storages
      class: OnceMadeRunStorage
    schedule_storage:
      module: cxg_assets.instance.storages
      class: OnceMadeScheduleStorage

The files are Dagster's, where Dagster has them by default: either class reads what the other wrote. Here it is the
storage itself that makes its database, so that it holds for every process that opens the instance: also for a daemon, a
webserver and code servers that are started together.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from dagster import DagsterInstance
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._serdes import ConfigurableClassData

from cxg_assets.instance.databases import RUNS, SCHEDULES, Database, make_once

__all__ = ["OnceMadeRunStorage", "OnceMadeScheduleStorage"]


class _OnceMade:
    """What both have in common, before Dagster's own class: where the database is, and that it is made once."""

    _database: ClassVar[Database]
    _folder: ClassVar[str]

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        """Opens nothing yet: whose storage it is, and so where it is, comes with `register_instance`."""
        super().__init__("", inst_data)  # type: ignore[call-arg] # of Dagster's class

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing can be configured."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Any:
        """This class, where Dagster's would name its own."""
        return cls(inst_data)

    def register_instance(self, instance: DagsterInstance) -> None:
        """Learns whose storage this is, and makes its database where there is none."""
        folder = Path(instance.root_directory) / self._folder
        make_once(self._database, folder)
        self._conn_string = create_db_conn_string(str(folder), Path(self._database.file).stem)
        super().register_instance(instance)  # type: ignore[misc] # of Dagster's class


class OnceMadeRunStorage(_OnceMade, SqliteRunStorage):
    """`SqliteRunStorage` in `history/` of the instance's folder."""

    _database, _folder = RUNS, "history"


class OnceMadeScheduleStorage(_OnceMade, SqliteScheduleStorage):
    """`SqliteScheduleStorage` in `schedules/` of the instance's folder."""

    _database, _folder = SCHEDULES, "schedules"
