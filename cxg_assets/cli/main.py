"""How the command runs, and how errors leave it: one line on stderr; exit code 2 for bad input, 1 for the rest."""

import io
import sys
import traceback
from typing import NoReturn

import click

from cxg_assets.cli.commands import commands
from cxg_assets.cli.told import AlreadyTold, tell_error
from cxg_assets.ingest.errors import MAX_SHOWN, BadInput, CxgError

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2

REMEDY = "see that the disk is not full and that no other process holds its databases, and run it again"
"""What to do about a database that worked when it was opened."""


def run() -> None:
    """Runs the command line's command."""
    try:
        sys.exit(commands(prog_name="cxg-assets", standalone_mode=False))
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)
        click.echo("\n".join(map(_shortened, told.getvalue().splitlines())), err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        _end("interrupted", EXIT_FAILED)
    except AlreadyTold:
        sys.exit(EXIT_BAD_INPUT)
    except BadInput as error:
        _end(_line(error), EXIT_BAD_INPUT)
    except (CxgError, FileNotFoundError) as error:
        _end(_line(error), EXIT_FAILED)
    except Exception as error:
        from cxg_assets import settings
        from cxg_assets.instance.failures import is_of_database, reason_of

        if not is_of_database(error):
            raise
        _end(f"the Dagster instance in {settings.dagster_home()} failed: {reason_of(error)}; {REMEDY}", EXIT_FAILED)


def _shortened(line: str) -> str:
    """A line of click's, without its middle where that repeats a long value."""
    return line if len(line) <= 2 * MAX_SHOWN else f"{line[:MAX_SHOWN]}…{line[-MAX_SHOWN:]}"


def _line(error: Exception) -> str:
    """What an error says; of one that says nothing, what it is and where it came from."""
    if str(error).strip():
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} without a message, raised in {place.name} ({place.filename}, line {place.lineno})"


def _end(line: str, exit_code: int) -> NoReturn:
    tell_error(line)
    sys.exit(exit_code)
