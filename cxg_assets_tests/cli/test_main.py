"""The command group: what it tells of itself, and how errors leave it."""

import pytest

from cxg_assets import __version__
from cxg_assets_tests.cli.command import cxg_assets

COMMANDS = ("census", "demo", "index", "ingest", "new", "status", "ui", "verify")


def test_it_tells_its_version() -> None:
    assert cxg_assets("--version").stdout == f"cxg-assets, version {__version__}\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_command(flag: str) -> None:
    outcome = cxg_assets(flag)
    assert outcome.exit_code == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in outcome.stdout] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    outcome = cxg_assets(command, "--help")
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith(f"Usage: cxg-assets {command} ")


def test_an_unknown_command_is_bad_input() -> None:
    outcome = cxg_assets("ingset")
    assert outcome.exit_code == 2
    assert "No such command 'ingset'" in outcome.stderr
