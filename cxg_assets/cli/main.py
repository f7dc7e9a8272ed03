"""The command group, and how errors leave it: one line on stderr; exit code 2 for bad input, 1 for the rest."""

import sys
import traceback
from typing import NoReturn

import click

from cxg_assets import __version__, settings
from cxg_assets.cli.lazy_group import LazyCommand, LazyGroup
from cxg_assets.ingest.errors import BadInput, CxgError

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2

REMEDY = "see that the disk is not full and that no other process holds its databases, and run it again"
"""What to do about a database that worked when it was opened."""


class Commands(LazyGroup):
    """The commands of `cxg-assets`."""

    lazy_commands = {
        "census": LazyCommand(
            place="cxg_assets.cli.census:census_group", summary="Demo censuses, in the layout of the real one."
        ),
        "demo": LazyCommand(
            place="cxg_assets.cli.demo:demo_command",
            summary="Builds the demo census if it is not there, and makes the example subsets from it.",
        ),
        "doctor": LazyCommand(
            place="cxg_assets.cli.doctor.command:doctor_command",
            summary="Checks this machine, the Census and the default store; with SUBSET also its selection, "
            "destination and plan.",
        ),
        "index": LazyCommand(
            place="cxg_assets.cli.index:index_command",
            summary="Writes obs of ORGANISM to OUTPUT; pandas.read_feather reads it.",
        ),
        "ingest": LazyCommand(
            place="cxg_assets.cli.ingest:ingest_command", summary="Makes what is missing of SUBSET and publishes it."
        ),
        "new": LazyCommand(place="cxg_assets.cli.new:new_command", summary="Writes defs/NAME/defs.yaml."),
        "prune": LazyCommand(
            place="cxg_assets.cli.prune:prune_command",
            summary="Lists old plans of SUBSET, subsets that no plan uses, and unreferenced objects; with --yes "
            "removes them.",
        ),
        "schema": LazyCommand(
            place="cxg_assets.cli.schema:schema_command",
            summary="Prints the JSON schema of a subset's YAML, for editors that do not find "
            "cxg_assets/defs/subset.schema.json.",
        ),
        "status": LazyCommand(
            place="cxg_assets.cli.status:status_command",
            summary="Shows chunks landed and missing, their size and the last run's throughput, of SUBSET or of every "
            "subset.",
        ),
        "ui": LazyCommand(
            place="cxg_assets.cli.ui:ui_command",
            summary="Serves the Dagster UI with its daemon, on this machine only.",
        ),
        "verify": LazyCommand(
            place="cxg_assets.cli.verify:verify_command",
            summary="Checks sizes and checksums of all chunks of SUBSET as published, and that nothing is "
            "unreferenced.",
        ),
    }


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def commands() -> None:
    """Slices of the CELLxGENE Census as verified h5ad chunk files."""
    asks_for_help = not {"-h", "--help"}.isdisjoint(sys.argv)
    if settings.is_home_elsewhere() and not asks_for_help:
        click.echo(f"cxg-assets: working in {settings.home()}, {settings.how_home_was_found()}", err=True)


def run() -> None:
    """Runs the command line's command."""
    try:
        commands(prog_name="cxg-assets")
    except BadInput as error:
        _end(_line(error), EXIT_BAD_INPUT)
    except (CxgError, FileNotFoundError) as error:
        _end(_line(error), EXIT_FAILED)
    except Exception as error:
        from cxg_assets.instance.failures import is_of_database, reason_of

        if not is_of_database(error):
            raise
        _end(f"the Dagster instance in {settings.dagster_home()} failed: {reason_of(error)}; {REMEDY}", EXIT_FAILED)


def _line(error: Exception) -> str:
    """What an error says; of one that says nothing, what it is and where it came from."""
    if str(error).strip():
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} without a message, raised in {place.name} ({place.filename}, line {place.lineno})"


def _end(line: str, exit_code: int) -> NoReturn:
    click.echo(f"cxg-assets: {line}", err=True)
    sys.exit(exit_code)
