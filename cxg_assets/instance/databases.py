"""Dagster's three SQLite databases: each is made once, whole, by whichever process is first.

Dagster's own classes make tables and stamp the schema's version at first use, without a lock between processes. Of
several that come at once most end in an error, and one may stamp a second version beside the first: from then on
alembic, which keeps those versions, refuses the database (seen with Dagster 1.13).
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from dagster._core.storage.event_log import SqlEventLogStorageMetadata, SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.runs.schema import RunStorageSqlMetadata
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.schedules.schema import ScheduleStorageSqlMetadata
from dagster._core.storage.sql import ALEMBIC_SCRIPTS_LOCATION
from dagster._core.storage.sqlite import create_db_conn_string
from sqlalchemy import MetaData, create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from cxg_assets.ingest.errors import CxgError
from cxg_assets.instance.failures import reason_of
from cxg_assets.locks import exclusive

LOCK = ".cxg-assets.lock"
"""Name of the lock, in the folder of what is made."""

_ASIDE = ".cxg-assets-making-"

BUSY_SECONDS = 30
"""How long SQLite waits for another process; Dagster's own value."""

REMEDY = "see that this user can read and write it, that the disk is not full, and that no other process holds it"

QUIET_SECONDS = 5.0
"""A database without a version that was written to within this time is still being made: by a process of Dagster's that
knows no lock. It takes 0.2 s, several times that on a busy machine."""


class BrokenInstance(CxgError):
    """A database of the Dagster instance cannot be used; the message says what to do, and what is lost by it."""


@dataclass(frozen=True, kw_only=True)
class Database:
    """One of Dagster's SQLite databases.

    Attributes:
        file: Its name in its folder.
        storage: Dagster's class for it, as a `dagster.yaml` names it.
        open: Dagster's own way to open it in a folder, which makes what is missing.
        tables: Its tables.
        holds: What is lost without it.
    """

    file: str
    storage: str
    open: Callable[[str], Any]
    tables: MetaData
    holds: str


RUNS = Database(
    file="runs.db",
    storage="SqliteRunStorage",
    open=SqliteRunStorage.from_local,
    tables=RunStorageSqlMetadata,
    holds="the list of runs and backfills",
)
EVENTS = Database(
    file="index.db",
    storage="SqliteEventLogStorage",
    open=SqliteEventLogStorage,
    tables=SqlEventLogStorageMetadata,
    holds="Dagster's records of assets, partitions and checks, until the next ingest records them again",
)
SCHEDULES = Database(
    file="schedules.db",
    storage="SqliteScheduleStorage",
    open=SqliteScheduleStorage.from_local,
    tables=ScheduleStorageSqlMetadata,
    holds="which schedules and sensors are on, and where they were",
)


def make_once(database: Database, folder: Path) -> None:
    """Sees that a database is whole in its folder: makes it, waits for whoever is making it, or mends it.

    Raises:
        BrokenInstance: It is there, and neither whole nor to be mended.
        OSError: It cannot be written.
    """
    file = folder / database.file
    if _is_whole(database, file):
        return
    with exclusive(folder / LOCK):
        _remove_abandoned(folder)
        # SQLite would take a log that was left of another database for one of the new one.
        if not any(_parts(file)) and _make_aside(database, file):
            return
        _await_others(database, file)
        if not _is_whole(database, file):
            _mend(database, file)


def versions(database: Database, file: Path) -> list[str]:
    """Versions of the schema that a database has on record: one if it is whole.

    Raises:
        CxgError: It cannot be opened, or is no database.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as opened:
            return [version for (version,) in opened.execute("SELECT version_num FROM alembic_version")]
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return []
        raise CxgError(f"Dagster's database {file} cannot be opened: {error}; {REMEDY}") from error
    except sqlite3.DatabaseError as error:
        raise broken(database, file, str(error)) from error


def broken(database: Database, file: Path, reason: str) -> BrokenInstance:
    """The error for a database that nothing can be made of."""
    return BrokenInstance(
        f"Dagster's database {file} is broken: {reason}. Move it away, with {file.name}-wal and {file.name}-shm if "
        f"they exist: the next command creates it again. Lost with it: {database.holds}. Chunks and datasets stay"
    )


def _is_whole(database: Database, file: Path) -> bool:
    return file.exists() and len(versions(database, file)) == 1


def _parts(file: Path) -> list[Path]:
    """The files of a database that are there."""
    names = (file.name, f"{file.name}-wal", f"{file.name}-shm", f"{file.name}-journal")
    return [part for part in (file.with_name(name) for name in names) if part.exists()]


def _remove_abandoned(folder: Path) -> None:
    """Removes what a killed process was making. Who makes something holds the lock, and that is us."""
    for aside in folder.glob(f"{_ASIDE}*"):
        shutil.rmtree(aside, ignore_errors=True)


def _make_aside(database: Database, file: Path) -> bool:
    """Makes a database beside its place, and puts it there whole. Returns False if another has come first."""
    aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=file.parent))
    try:
        storage = database.open(str(aside))
        storage.dispose()
        made = aside / database.file
        with contextlib.closing(sqlite3.connect(made)) as connection:  # whatever is in its log belongs into the file
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        try:
            os.link(made, file)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if file.exists():
                return False
            made.rename(file)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return True


def _await_others(database: Database, file: Path) -> None:
    """Waits while a database has no version yet and is still written to."""
    deadline = time.monotonic() + 12 * QUIET_SECONDS
    while time.monotonic() < deadline and not versions(database, file):
        if time.time() - max(part.stat().st_mtime for part in _parts(file)) > QUIET_SECONDS:
            return
        time.sleep(0.1)


def _mend(database: Database, file: Path) -> None:
    """Brings a database to a single version of its schema, under its lock, with all tables. Rows stay as they are.

    - Two versions, one of which came before the other: two processes made it. Each had made the tables of today, so
      that the later version is true.
    - None: its maker was killed. What is missing is made, and Dagster's migrations run, which skip what is there.

    Raises:
        BrokenInstance: It cannot be mended.
    """
    try:
        found = versions(database, file)
        if len(found) > 1:
            latest = _latest(database, file, found)
            with contextlib.closing(sqlite3.connect(file)) as connection, connection:
                connection.execute("DELETE FROM alembic_version WHERE version_num != ?", (latest,))
            # The tables that are missing.
            engine = create_engine(create_db_conn_string(str(file.parent), file.stem), poolclass=NullPool)
            database.tables.create_all(engine)
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
