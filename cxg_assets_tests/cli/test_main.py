"""The command group: what it tells of itself, what that costs, and how errors leave it."""

import subprocess
import sys

import click
import pytest

from cxg_assets import __version__
from cxg_assets.cli.main import Commands, commands
from cxg_assets_tests.cli.command import cxg_assets

COMMANDS = tuple(Commands.lazy_commands)

HEAVY = {
    "anndata", "dagster", "dagster_aws", "dagster_ray", "h5py", "matplotlib", "numba", "numpy", "obstore", "pandas",
    "pyarrow", "pydantic", "ray", "requests", "scipy", "sqlalchemy", "tiledbsoma", "yaml",
}  # fmt: skip
"""What takes a command longer to import than help may take."""

_LOADED = """
import sys
from cxg_assets.cli import main
try:
    main()
finally:
    print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def loaded_by(*arguments: str) -> set[str]:
    """Packages that a process has imported when the command has ended in it."""
    done = subprocess.run([sys.executable, "-c", _LOADED, *arguments], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_it_tells_its_version() -> None:
    assert cxg_assets("--version").stdout == f"cxg-assets, version {__version__}\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_command(flag: str) -> None:
    outcome = cxg_assets(flag)
    assert outcome.exit_code == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in outcome.stdout] == []


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_what_the_group_tells_imports_no_heavy_package(flag: str) -> None:
    loaded = loaded_by(flag)
    assert "click" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_groups_help_says_of_a_command_what_the_command_says_of_itself(command: str) -> None:
    loaded = commands.get_command(click.Context(commands), command)
    assert loaded is not None
    assert loaded.name == command
    stub = click.Command(command, help=Commands.lazy_commands[command].summary)
    assert stub.get_short_help_str(1_000) == loaded.get_short_help_str(1_000)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    outcome = cxg_assets(command, "--help")
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith(f"Usage: cxg-assets {command} ")


def test_an_unknown_command_is_bad_input() -> None:
    outcome = cxg_assets("ingset")
    assert outcome.exit_code == 2
    assert "No such command 'ingset'" in outcome.stderr
