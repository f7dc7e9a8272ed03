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

An engine is kept, as SQLAlchemy compiles a statement once for each engine: Dagster's classes make one for every
statement. A connection is not kept, so that neither a fork nor a database that was replaced matters.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from dagster import DagsterInstance
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite import create_db_conn_string
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, NullPool, create_engine

from cxg_assets.instance.databases import RUNS, SCHEDULES, Database, make_once

__all__ = ["OnceMadeRunStorage", "OnceMadeScheduleStorage"]


class _OnceMade:
    """What both have in common, before Dagster's own class: where the database is, and that it is made once."""

    _database: ClassVar[Database]
    _folder: ClassVar[str]

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        """Opens nothing yet: whose storage it is, and so where it is, comes with `register_instance`."""
        self._engine: Engine | None = None
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
        self._engine = None
        super().register_instance(instance)  # type: ignore[misc] # of Dagster's class

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A new connection in a transaction, as Dagster's."""
        if self._engine is None:
            self._engine = create_engine(self._conn_string, poolclass=NullPool)
        with self._engine.begin() as connection:
            yield connection


class OnceMadeRunStorage(_OnceMade, SqliteRunStorage):
    """`SqliteRunStorage` in `history/` of the instance's folder."""

    _database, _folder = RUNS, "history"


class OnceMadeScheduleStorage(_OnceMade, SqliteScheduleStorage):
    """`SqliteScheduleStorage` in `schedules/` of the instance's folder."""

    _database, _folder = SCHEDULES, "schedules"
