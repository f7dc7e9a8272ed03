"""Connections of Dagster's webserver that survive a restart of PostgreSQL.

The webserver keeps a connection of each storage open. Dagster's classes use it without a look at it, so that after a
restart of the server the next requests are answered with *Internal Server Error*, one for each connection.
"""

from typing import Any, Protocol

from dagster_postgres import PostgresRunStorage, PostgresScheduleStorage
from dagster_postgres.utils import create_pg_engine, set_pg_statement_timeout
from sqlalchemy import Engine, event

RENEWED_SECONDS = 600
"""A connection is replaced when it is older: proxies and firewalls forget those that nobody uses."""


class _HasEngine(Protocol):
    postgres_url: str
    _engine: Engine
    _token_provider: Any


class TriedConnections:
    """Before one of Dagster's PostgreSQL storages: what its webserver connects by is tried before it is used."""

    def optimize_for_webserver(self: _HasEngine, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        """Keeps a connection open, as Dagster's classes do.

        Args:
            statement_timeout: Of each statement, in milliseconds.
            pool_recycle: Seconds after which a connection is replaced; -1 is never.
            max_overflow: Connections besides the one that stays open; -1 is any number.
        """
        options = self._engine.url.query.get("options")
        self._engine.dispose()
        self._engine = create_pg_engine(
            self.postgres_url,
            self._token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            pool_recycle=pool_recycle,
            max_overflow=max_overflow,
            pool_pre_ping=True,
            connect_args={"options": options} if options else {},
        )
        event.listen(
            self._engine, "connect", lambda connection, _: set_pg_statement_timeout(connection, statement_timeout)
        )


class TriedRunStorage(TriedConnections, PostgresRunStorage):
    """`PostgresRunStorage`, for a webserver that outlives a restart of the server."""


class TriedScheduleStorage(TriedConnections, PostgresScheduleStorage):
    """`PostgresScheduleStorage`, for a webserver that outlives a restart of the server."""
