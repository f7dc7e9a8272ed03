"""A group of commands whose modules are imported when they are called, so that help comes at once."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

import click


@dataclass(frozen=True, kw_only=True)
class LazyCommand:
    """Where a command is, and what the group's help says of it.

    Attributes:
        place: `module:attribute`.
        summary: First sentence of its help.
    """

    place: str
    summary: str

    def load(self) -> click.Command:
        """Imports the command with all that it works with."""
        module, _, attribute = self.place.partition(":")
        return getattr(importlib.import_module(module), attribute)


class LazyGroup(click.Group):
    """A group that knows its commands by name and summary."""

    lazy_commands: Mapping[str, LazyCommand] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order of the alphabet."""
        return sorted(self.lazy_commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a command; None when there is none of that name."""
        found = self.lazy_commands.get(cmd_name)
        return None if found is None else found.load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands as click does, from the summaries."""
        width = formatter.width - 6 - max(map(len, self.lazy_commands))
        rows: list[tuple[str, str]] = []
        for name in self.list_commands(ctx):
            stub = click.Command(name, help=self.lazy_commands[name].summary)
            rows.append((name, stub.get_short_help_str(width)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)
