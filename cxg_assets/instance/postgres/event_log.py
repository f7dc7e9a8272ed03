"""Dagster's PostgreSQL event log, with connections that stay open, and ranges of partitions planned at once.

Dagster's class opens a connection for every statement, several a chunk, and each is a process of the server. It records
17 chunks a second, this class 83 (`python -m benchmarks.record_chunks`; docs/performance.md).

Rows are as Dagster writes them: either class reads what the other wrote. Of what is used here `_engine`, `_connect`,
`_event_to_row` and `_store_asset_event` are private.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import dagster as dg
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config
from sqlalchemy import Connection

from cxg_assets.instance.event_log import ManyPartitions, planned_partitions
from cxg_assets.instance.postgres.webserver import RENEWED_SECONDS, TriedConnections

MAX_CONNECTIONS = 20
"""Of one process. One stays open; more are for threads that write at the same time, and close after it."""


class ReusingPostgresEventLogStorage(ManyPartitions, TriedConnections, PostgresEventLogStorage):
    """`PostgresEventLogStorage` with a pool of connections.

    - Each is tried before it is used, and replaced if the server was restarted.
    - A forked child opens its own.
    - An event that plans many partitions is stored as an event for each, in one transaction.
    """

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: Any = None,
    ) -> None:
        """Makes the tables where there are none, as Dagster's class does."""
        self._found_tables: set[str] = set()
        self._connected_by = os.getpid()
        super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
        self._engine = create_pg_engine(
            postgres_url,
            token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=MAX_CONNECTIONS - 1,
            pool_pre_ping=True,
            pool_recycle=RENEWED_SECONDS,
        )

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "ReusingPostgresEventLogStorage":
        """This class, where Dagster's would name its own."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
            get_token_provider_from_config(config_value),
        )

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Stores an event; one that plans many partitions as an event for each, in one transaction."""
        planned = planned_partitions(event)
        if not planned:
            super().store_event(event)
            return
        with self.index_transaction() as connection:
            connection.execute(SqlEventLogStorageTable.insert(), [self._event_to_row(one) for one in planned])
            # The asset's own row tells of the latest run only, and a planned event leaves no id in it.
            self._store_asset_event(connection, planned[-1], event_id=0)

    def dispose(self) -> None:
        """Ends the watching, then closes what is open. Whoever connects afterwards opens anew."""
        super().dispose()
        self._engine.dispose()

    def _connect(self) -> AbstractContextManager[Connection]:
        if self._connected_by != os.getpid():
            self._engine.dispose(close=False)  # they are the parent's
            self._connected_by = os.getpid()
        return super()._connect()
