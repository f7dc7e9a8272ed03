"""Mends a database of Dagster's that several processes have made at once, or one that was killed."""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from dagster._core.storage.sql import ALEMBIC_SCRIPTS_LOCATION
from dagster._core.storage.sqlite import create_db_conn_string
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from cxg_assets.instance.databases import EVENTS, Database, broken, versions
from cxg_assets.instance.failures import reason_of


def mend(database: Database, file: Path) -> None:
    """Brings a database to a single version of its schema, with all tables of it. Rows stay as they are.

    - Two versions, one of which came before the other: two processes made it. Each had made the tables of today, so
      that the later version is true.
    - None: its maker was killed. What is missing is made, and Dagster's migrations run, which skip what is there.

    Args:
        database: Which one. The caller holds its lock.
        file: Where it is.

    Raises:
        BrokenInstance: It cannot be mended.
    """
    try:
        found = versions(database, file)
        if len(found) > 1:
            _keep(file, _latest(database, file, found))
            _complete(database, file)
        storage = database.open(str(file.parent))
        if database is EVENTS:
            with storage.index_connection():  # makes what is missing, and stamps the version
                pass
            storage.reindex_events()
            storage.reindex_assets()
        else:
            storage.upgrade()
            storage.migrate()
            storage.optimize()
        storage.dispose()
    except (SQLAlchemyError, sqlite3.Error, CommandError, RevisionError) as error:
        raise broken(database, file, reason_of(error)) from error


def _latest(database: Database, file: Path, found: Sequence[str]) -> str:
    """The version that all others came before."""
    config = Config()
    config.set_main_option("script_location", ALEMBIC_SCRIPTS_LOCATION)
    scripts = ScriptDirectory.from_config(config)
    for version in found:
        before = {script.revision for script in scripts.iterate_revisions(version, "base")}
        if before.issuperset(found):
            return version
    raise broken(database, file, f"it has the versions {' and '.join(found)} at once, neither after the other")


def _keep(file: Path, version: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM alembic_version WHERE version_num != ?", (version,))


def _complete(database: Database, file: Path) -> None:
    """Makes the tables that are missing."""
    engine = create_engine(create_db_conn_string(str(file.parent), file.stem), poolclass=NullPool)
    database.tables.create_all(engine)
