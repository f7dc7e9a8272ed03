"""Tables: by rich on a terminal, as aligned plain text elsewhere."""

import sys
from collections.abc import Sequence

import click

from cxg_assets.cli.terminal.colour import is_terminal


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = ()) -> None:
    """Prints a table and a blank line on stdout.

    Args:
        headings: Of its columns.
        rows: A text for each column.
        numbers: Headings of the columns that are aligned to the right.
    """
    if not is_terminal(sys.stdout):
        click.echo("\n".join([*plain_table(headings, rows, numbers=numbers), ""]))
        return
    # Here: only a terminal needs rich.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(file=sys.stdout).print(table)


def plain_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = ()) -> list[str]:
    """The lines of a table in which columns are two blanks apart; arguments as of `show_table`."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if heading in numbers else text.ljust(width)
            for heading, text, width in zip(headings, row, widths, strict=True)
        ).rstrip()
        for row in (headings, *rows)
    ]
