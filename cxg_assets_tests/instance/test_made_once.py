"""What is made at first use is made once, by whichever process is first; the others wait and use it."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from dagster import DagsterInstance
from dagster._core.storage.runs import SqliteRunStorage

from cxg_assets.ingest.errors import CxgError
from cxg_assets.instance import databases
from cxg_assets.instance.databases import RUNS, make_once
from cxg_assets.instance.opening import DAGSTER_YAML, open_instance
from cxg_assets_tests.cli.command import files_below
from cxg_assets_tests.instance.at_once import Way, open_at_once
from cxg_assets_tests.instance.heads import DATABASES, EARLIER, execute, head, versions

pytestmark = pytest.mark.stack

N_ROUNDS = 8
"""Each of the four beginnings twice; a round is 2 s of CPU time."""

COMMANDS: list[Way] = ["command"] * 8
MIXED: list[Way] = ["command", "dagster"] * 4

OLD_YAML = "event_log_storage: {module: cxg_assets.instance.event_log, class: ReusingSqliteEventLogStorage}\n"
"""What the command wrote before it named all three storages."""


def test_eight_processes_at_once_make_one_sound_instance(tmp_path: Path) -> None:
    rounds: list[tuple[Path, list[Way]]] = []
    for number in range(N_ROUNDS):
        home = tmp_path / f"home{number}"
        # In turn: there is nothing; a folder with Dagster's own storages; one of before; one as the command makes it.
        text = (None, "telemetry: {enabled: false}\n", OLD_YAML, DAGSTER_YAML)[number % 4]
        if text is not None:
            home.mkdir()
            (home / "dagster.yaml").write_text(text)
        rounds.append((home, MIXED if text == DAGSTER_YAML else COMMANDS))

    for said in open_at_once(rounds):
        assert said == [""] * 8
    latest = head(tmp_path / "alone")
    for home, _ in rounds:
        assert versions(home) == {name: [latest] for name in DATABASES}
        left = {Path(name).name for name in files_below(home)} - {"dagster.yaml", ".cxg-assets.lock"}
        assert left == {Path(name).name for name in DATABASES}


def test_without_a_dagster_yaml_the_command_writes_its_own(tmp_path: Path) -> None:
    with open_instance(tmp_path / "home"):
        pass
    assert (tmp_path / "home" / "dagster.yaml").read_text() == DAGSTER_YAML


def test_a_dagster_yaml_of_before_the_event_log_moved_is_brought_up_to_date(tmp_path: Path) -> None:
    before = DAGSTER_YAML.replace("cxg_assets.instance.event_log", "cxg_assets.event_log")
    edited = before.replace("default_limit: 2", "default_limit: 7")
    (tmp_path / "dagster.yaml").write_text(edited)
    with open_instance(tmp_path):
        pass
    assert (tmp_path / "dagster.yaml").read_text() == DAGSTER_YAML.replace("default_limit: 2", "default_limit: 7")


def test_one_that_somebody_else_wrote_is_left_with_one_error_that_names_the_new_module(tmp_path: Path) -> None:
    config = tmp_path / "dagster.yaml"
    config.write_text(OLD_YAML.replace("cxg_assets.instance.event_log", "cxg_assets.event_log"))
    before = config.read_text()
    with pytest.raises(
        CxgError,
        match=r"dagster\.yaml names the module cxg_assets\.event_log, which is "
        r"cxg_assets\.instance\.event_log now; change it",
    ):
        open_instance(tmp_path)
    assert config.read_text() == before


def test_dagsters_own_classes_open_what_was_made(tmp_path: Path) -> None:
    with open_instance(tmp_path):
        pass
    (tmp_path / "dagster.yaml").write_text("")
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert type(instance.run_storage) is SqliteRunStorage
        assert instance.get_runs() == []
        assert instance.all_asset_keys() == []


def test_a_maker_that_is_killed_leaves_nothing_that_counts(tmp_path: Path) -> None:
    def killed(folder: str) -> None:
        RUNS.open(folder)
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        make_once(replace(RUNS, open=killed), tmp_path)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert not (tmp_path / RUNS.file).exists()
    assert any(tmp_path.iterdir())

    make_once(RUNS, tmp_path)
    assert set(files_below(tmp_path)) == {RUNS.file, ".cxg-assets.lock"}


def test_a_process_that_knows_no_lock_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "QUIET_SECONDS", 600.0)
    RUNS.open(str(tmp_path))
    execute(tmp_path / RUNS.file, "DELETE FROM alembic_version")  # as it is just before the version is stamped
    waiting = threading.Thread(target=make_once, args=(RUNS, tmp_path))
    waiting.start()
    execute(tmp_path / RUNS.file, f"INSERT INTO alembic_version VALUES ('{EARLIER}')")
    waiting.join(60)
    assert not waiting.is_alive()
    assert execute(tmp_path / RUNS.file, "SELECT version_num FROM alembic_version") == [(EARLIER,)]


def test_a_demo_census_that_two_want_at_once_is_built_once(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from cxg_assets.demo import build_census, build_once

def build(path):
    print("built", flush=True)
    build_census(path, n_obs=200)

build_once(Path(sys.argv[1]), build)
assert (Path(sys.argv[1]) / "__tiledb_group.tdb").exists()
"""
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "home" / "demo-census")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(said) == ["", "built\n"]
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["demo-census", "demo-census.lock"]
