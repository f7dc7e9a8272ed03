"""The command group: what it tells of itself, what that costs, and how errors leave it."""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from cxg_assets import __version__
from cxg_assets.cli import main
from cxg_assets.cli.commands import commands
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.instance.opening import open_instance
from cxg_assets_tests.cli.command import cxg_assets, declare

COMMANDS = tuple(commands.commands)

HEAVY = {
    "anndata", "dagster", "dagster_aws", "dagster_ray", "h5py", "matplotlib", "numba", "numpy", "obstore", "pandas",
    "pyarrow", "pydantic", "ray", "requests", "scipy", "sqlalchemy", "tiledbsoma", "yaml",
}  # fmt: skip
"""What takes a command longer to import than help may take."""

_LOADED = """
import contextlib, io, json, sys
from cxg_assets.cli import main

loaded = []
for arguments in json.load(sys.stdin):
    sys.argv = ["cxg-assets", *arguments]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main()
    loaded.append(sorted({name.partition(".")[0] for name in sys.modules}))
print(json.dumps(loaded))
"""

HELP = [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]


@pytest.fixture(scope="module")
def loaded_by() -> dict[str, set[str]]:
    """Packages that a process has imported after each way to ask for help, one after the other in that process."""
    command = [sys.executable, "-c", _LOADED]
    done = subprocess.run(command, input=json.dumps(HELP), capture_output=True, text=True, check=True)
    return {" ".join(asked): set(loaded) for asked, loaded in zip(HELP, json.loads(done.stdout), strict=True)}


def test_it_tells_its_version() -> None:
    assert cxg_assets("--version").stdout == f"cxg-assets, version {__version__}\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_command(flag: str) -> None:
    outcome = cxg_assets(flag)
    assert outcome.exit_code == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in outcome.stdout] == []


@pytest.mark.parametrize("arguments", HELP, ids=" ".join)
def test_help_imports_no_heavy_package(arguments: list[str], loaded_by: dict[str, set[str]]) -> None:
    loaded = loaded_by[" ".join(arguments)]
    assert "click" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_ends_with_examples_of_it(command: str) -> None:
    build = ("build",) if command == "census" else ()
    outcome = cxg_assets(command, *build, "--help")
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith(f"Usage: cxg-assets {command} ")
    _, examples = outcome.stdout.split("\n\n  Examples:\n")
    assert [line for line in examples.splitlines() if not line.startswith(f"    cxg-assets {command}")] == []


@pytest.mark.parametrize("command", [name for name, one in commands.commands.items() if len(one.params) > 4])
def test_the_options_of_a_command_that_has_many_stand_in_groups(command: str) -> None:
    paragraphs = cxg_assets(command, "--help").stdout.split("\n\n")
    [others] = [paragraph for paragraph in paragraphs if paragraph.startswith("Options:")]
    assert others.splitlines()[1:] == ["  -h, --help  Show this message and exit."]


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("shell", [BashComplete, ZshComplete, FishComplete])
def test_the_shell_completes_commands_options_and_subsets(shell: type[ShellComplete], defs: Path) -> None:
    def completions(*words: str) -> list[str]:
        completer = shell(commands, {}, "cxg-assets", "_CXG_ASSETS_COMPLETE")
        return [item.value for item in completer.get_completions(list(words[:-1]), words[-1])]

    declare(defs)
    (defs / "samples_of_lung").mkdir()  # a folder, no subset
    assert completions("in") == ["index", "ingest", "init"]
    assert completions("ingest", "--max") == ["--max-obs"]
    assert completions("ingest", "sam") == completions("verify", "") == ["sample"]
    assert completions("ingest", "blood") == []
    shutil.rmtree(defs)
    assert completions("ingest", "sam") == []


@pytest.mark.parametrize(("raised", "exit_code"), [(CxgError, 1), (BadInput, 2), (FileNotFoundError, 1)])
def test_an_error_that_says_nothing_is_told_by_its_class_and_place(
    raised: type[Exception], exit_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def say_nothing() -> None:
        raise raised

    monkeypatch.setattr(main, "commands", click.Command("silent", callback=say_nothing))
    outcome = cxg_assets()
    assert outcome.exit_code == exit_code
    [line] = outcome.stderr.splitlines()
    assert line.startswith(f"cxg-assets: {raised.__name__} without a message, raised in say_nothing ({__file__}, line ")


def test_a_database_of_the_instance_that_fails_meanwhile_is_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_what_another_breaks() -> None:
        with open_instance(home / "dagster") as instance:
            with contextlib.closing(sqlite3.connect(home / "dagster" / "history" / "runs.db")) as other:
                other.execute("DROP TABLE runs")
            instance.get_runs()

    monkeypatch.setattr(main, "commands", click.Command("reading", callback=read_what_another_breaks))
    outcome = cxg_assets()
    assert outcome.exit_code == 1
    [line] = outcome.stderr.splitlines()
    assert line.startswith(f"cxg-assets: the Dagster instance in {home / 'dagster'} failed: ")
    assert "no such table: runs" in line
    assert "run it again" in line


@pytest.mark.parametrize("arguments", [["x" * 5_000], ["status", "a", "x" * 5_000], ["ingest", "a", "-p", "x" * 5_000]])
def test_a_usage_error_repeats_no_long_value(arguments: list[str]) -> None:
    outcome = cxg_assets(*arguments)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("Usage: cxg-assets")
    assert "x…x" in outcome.stderr
    assert len(outcome.stderr) < 700


def test_an_unknown_command_is_bad_input() -> None:
    outcome = cxg_assets("ingset")
    assert outcome.exit_code == 2
    assert "No such command 'ingset'" in outcome.stderr
