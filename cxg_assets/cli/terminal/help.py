"""Help whose commands and options stand in groups, with headings in bold on a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from cxg_assets.cli.terminal.colour import painted

Groups = Mapping[str, Sequence[str]]
"""Names of commands, or of parameters, by the heading that they stand under."""


class _Formatter(click.HelpFormatter):
    def write_heading(self, heading: str) -> None:
        """A heading, in bold on a terminal."""
        super().write_heading(painted(heading, bold=True))


class _Context(click.Context):
    formatter_class = _Formatter


class GroupedOptions(click.Command):
    """A command whose options stand in groups; those that no group names are its last."""

    context_class = _Context

    def __init__(self, *arguments: Any, groups: Groups = {}, **attributes: Any) -> None:  # noqa: B006
        """Takes what `click.Command` takes, and the groups of options."""
        super().__init__(*arguments, **attributes)
        self._groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the groups."""
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        records = {str(one.name): one.get_help_record(ctx) for one in options}
        named = {name for names in self._groups.values() for name in names}
        others = [name for name in records if name not in named]
        for heading, names in {**self._groups, "Options": others}.items():
            shown = [record for name in names if (record := records[name]) is not None]
            if shown:
                with formatter.section(heading):
                    formatter.write_dl(shown)


class GroupedCommands(click.Group):
    """A group of commands that stand in groups; a command has help of the same look."""

    context_class = _Context
    command_class = GroupedOptions

    def __init__(self, *arguments: Any, groups: Groups = {}, **attributes: Any) -> None:  # noqa: B006
        """Takes what `click.Group` takes, and the groups of commands: every command is in one."""
        super().__init__(*arguments, **attributes)
        self._groups = groups

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the groups."""
        width = max(map(len, self.commands))
        for heading, names in self._groups.items():
            with formatter.section(heading):
                rows = [(name, self.commands[name].get_short_help_str(formatter.width - 6 - width)) for name in names]
                formatter.write_dl([(name.ljust(width), text) for name, text in rows])
