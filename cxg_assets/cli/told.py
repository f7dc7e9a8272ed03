"""The error that a command ends with, as one line on stderr."""

import contextlib
from collections.abc import Iterator

import click

from cxg_assets.cli.terminal.colour import painted
from cxg_assets.cli.terminal.teller import Teller
from cxg_assets.ingest.errors import BadInput


class AlreadyTold(BadInput):
    """Bad input that was told before the command could end."""


def tell_error(line: str) -> None:
    """Tells it."""
    click.echo(f"{painted('cxg-assets:', err=True, fg='red')} {line}", err=True)


@contextlib.contextmanager
def told_at_once(teller: Teller) -> Iterator[None]:
    """Tells bad input before what was started ahead has ended: Ray takes seconds to start, and to end.

    Raises:
        AlreadyTold: In place of BadInput.
    """
    try:
        yield
    except BadInput as error:
        tell_error(str(error))
        teller.step("ending what was started ahead")
        raise AlreadyTold(str(error)) from error
