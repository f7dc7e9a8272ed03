"""The schema versions of an instance's databases, as SQLite has them."""

import contextlib
import sqlite3
from pathlib import Path

from dagster._core.storage.runs import SqliteRunStorage

DATABASES = ("history/runs.db", "history/runs/index.db", "schedules/schedules.db")

EARLIER = "5771160a95ad"
"""The version that Dagster's classes stamp when they find tables and no version."""


def execute(file: Path, statement: str) -> list[tuple]:
    """Runs a statement in a database and keeps what it changed. Returns its rows."""
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        return connection.execute(statement).fetchall()


def versions(home: Path) -> dict[str, list[str]]:
    """The versions that each database has on record."""
    return {
        name: [version for (version,) in execute(home / name, "SELECT version_num FROM alembic_version")]
        for name in DATABASES
    }


def head(folder: Path) -> str:
    """The version of a database that Dagster's own class makes, alone, in an empty folder."""
    latest = SqliteRunStorage.from_local(str(folder)).alembic_version()[1]
    assert isinstance(latest, str)
    return latest
