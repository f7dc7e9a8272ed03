"""The command group, and how errors leave it: one line on stderr; exit code 2 for bad input, 1 for the rest."""

import sys

import click

from cxg_assets import __version__
from cxg_assets.cli.census import census_group
from cxg_assets.cli.demo import demo_command
from cxg_assets.cli.doctor import doctor_command
from cxg_assets.cli.index import index_command
from cxg_assets.cli.ingest import ingest_command
from cxg_assets.cli.new import new_command
from cxg_assets.cli.prune import prune_command
from cxg_assets.cli.schema import schema_command
from cxg_assets.cli.status import status_command
from cxg_assets.cli.ui import ui_command
from cxg_assets.cli.verify import verify_command
from cxg_assets.ingest.errors import BadInput, CxgError

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def commands() -> None:
    """Slices of the CELLxGENE Census as verified h5ad chunk files."""


for command in (
    census_group, demo_command, doctor_command, index_command, ingest_command, new_command, prune_command,
    schema_command, status_command, ui_command, verify_command,
):  # fmt: skip
    commands.add_command(command)


def run() -> None:
    """Runs the command line's command."""
    try:
        commands(prog_name="cxg-assets")
    except BadInput as error:
        click.echo(f"cxg-assets: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except (CxgError, FileNotFoundError) as error:
        click.echo(f"cxg-assets: {error}", err=True)
        sys.exit(EXIT_FAILED)
