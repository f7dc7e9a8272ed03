"""Every `cxg-assets` that a page tells to type can be typed: its command, options and their values are there."""

import re
import shlex

import click
import pytest

from cxg_assets.cli.commands import commands
from cxg_assets_tests.docs.test_links import PAGES, ROOT


def typed(name: str) -> list[str]:
    """The lines of a page's shell blocks that call the command, without what precedes and follows the call."""
    blocks = re.findall(r"```(?:bash|console)\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    calls = [call for block in blocks for line in block.splitlines() for call in line.split("&&")]
    return [call.strip() for call in calls if call.strip().startswith("cxg-assets ")]


@pytest.mark.parametrize("name", [name for name in PAGES if typed(name)])
def test_every_command_of_a_page_can_be_typed(name: str) -> None:
    for line in typed(name):
        group: click.Command = commands
        words = shlex.split(line, comments=True)[1:]
        while isinstance(group, click.Group):
            context = click.Context(group)
            _, command, words = group.resolve_command(context, words)
            assert command is not None, line
            group = command
        # Parses, and raises what a person would be told.
        assert group.make_context(group.name, words) is not None, line


def test_the_pages_have_commands() -> None:
    assert {"README.md", "docs/tutorial.md", "docs/how-to/first-census.md"} <= {name for name in PAGES if typed(name)}
