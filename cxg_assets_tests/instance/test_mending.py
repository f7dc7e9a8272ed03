"""An instance that was broken is mended where nothing is lost by it, and named with the way out where it is."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance

from cxg_assets.instance import databases
from cxg_assets.instance.opening import open_instance
from cxg_assets_tests.cli.command import cxg_assets
from cxg_assets_tests.instance.heads import DATABASES, EARLIER, execute, versions

KEY = dg.AssetKey("an_asset")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an instance that knows of an asset, a run and a dynamic partition; nobody changes it."""
    folder = tmp_path_factory.mktemp("used") / "dagster"
    with open_instance(folder) as instance:
        record(instance)
    return folder


@pytest.fixture
def used(kept: Path, home: Path, defs: Path) -> Path:
    """A copy of that folder, as the instance of a home."""
    shutil.copytree(kept, home / "dagster")
    return home / "dagster"


def record(instance: DagsterInstance) -> None:
    @dg.asset(key=KEY)
    def an_asset() -> None: ...

    assert dg.materialize([an_asset], instance=instance).success
    instance.add_dynamic_partitions("chunks", ["c0"])


def knows_all(folder: Path) -> bool:
    with open_instance(folder) as instance:
        return (
            len(instance.get_runs()) == 1
            and len(instance.fetch_materializations(KEY, limit=5).records) == 1
            and list(instance.get_dynamic_partitions("chunks")) == ["c0"]
        )


def long_ago(file: Path) -> None:
    """Nobody is making this database any more."""
    for part in file.parent.glob(f"{file.name}*"):
        os.utime(part, (0, 0))


@pytest.mark.parametrize("database", DATABASES)
def test_two_versions_of_which_one_came_before_the_other_become_one(used: Path, database: str) -> None:
    sound = versions(used)
    execute(used / database, f"INSERT INTO alembic_version VALUES ('{EARLIER}')")
    assert len(versions(used)[database]) == 2

    outcome = cxg_assets("status")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert versions(used) == sound
    assert knows_all(used)


@pytest.mark.parametrize("database", DATABASES)
def test_a_database_whose_maker_was_killed_before_its_end_is_completed(used: Path, database: str) -> None:
    sound = versions(used)
    execute(used / database, "DELETE FROM alembic_version")
    lacking = {"history/runs.db": "kvs", "history/runs/index.db": "asset_check_executions"}.get(database, "job_ticks")
    execute(used / database, f"DROP TABLE {lacking}")
    long_ago(used / database)

    outcome = cxg_assets("status")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert versions(used) == sound
    execute(used / database, f"SELECT * FROM {lacking}")
    assert knows_all(used)


@pytest.mark.parametrize("database", DATABASES)
def test_an_empty_file_is_made_whole(used: Path, database: str) -> None:
    sound = versions(used)
    for part in (used / database).parent.glob(f"{Path(database).name}*"):
        part.unlink()
    (used / database).touch()
    long_ago(used / database)
    assert cxg_assets("status").exit_code == 0
    assert versions(used) == sound


@pytest.mark.parametrize(
    ("breaking", "reason"),
    [
        pytest.param("INSERT INTO alembic_version VALUES ('0123456789ab')", "0123456789ab", id="unknown_version"),
        pytest.param("garbage", "file is not a database", id="no_database"),
    ],
)
@pytest.mark.parametrize("database", DATABASES)
def test_what_cannot_be_mended_is_named_and_the_way_out_leads_out(
    used: Path, database: str, breaking: str, reason: str
) -> None:
    sound = versions(used)
    file = used / database
    if breaking == "garbage":
        file.write_bytes(b"these are not the bytes of a database " * 200)
    else:
        execute(file, breaking)

    outcome = cxg_assets("status")
    assert outcome.exit_code == 1
    [line] = outcome.stderr.splitlines()
    assert line.startswith(f"cxg-assets: Dagster's database {file} is broken: ")
    assert reason in line
    assert f"Move it away, with {file.name}-wal and {file.name}-shm if they exist" in line
    assert "Lost with it: " in line

    for part in file.parent.glob(f"{file.name}*"):
        part.rename(used / part.name)
    assert cxg_assets("status").exit_code == 0
    assert versions(used) == sound


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        yield


def test_a_locked_database_is_one_line_that_says_so(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "BUSY_SECONDS", 0.1)
    file = used / "schedules" / "schedules.db"
    with locked(file):
        outcome = cxg_assets("status")
    assert outcome.exit_code == 1
    [line] = outcome.stderr.splitlines()
    assert line.startswith(f"cxg-assets: Dagster's database {file} cannot be opened: database is locked; ")
    assert "no other process holds it" in line


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("event_log_storage: {module: no_such_module, class: Nothing}\n", "no_such_module", id="module"),
        pytest.param("no_such_setting: 1\n", "no_such_setting", id="setting"),
        pytest.param("telemetry: [\n", "dagster.yaml", id="no_yaml"),
    ],
)
def test_a_wrong_dagster_yaml_is_one_line(home: Path, defs: Path, text: str, reason: str) -> None:
    (home / "dagster").mkdir(parents=True)
    (home / "dagster" / "dagster.yaml").write_text(text)
    outcome = cxg_assets("status")
    assert outcome.exit_code == 1
    [line] = outcome.stderr.splitlines()
    assert line.startswith(f"cxg-assets: the Dagster instance in {home / 'dagster'} cannot be opened: ")
    assert reason in line
    assert f"see {home / 'dagster' / 'dagster.yaml'}" in line
