"""The option of commands that make chunks: what runs the workers."""

import click

from cxg_assets.resources.executors import POOLS

POOL_OPTION = click.option(
    "-p",
    "--pool",
    type=click.Choice(POOLS),
    help="What runs the workers: Ray, or processes of this machine, which start sooner. Default: CXG_POOL, else ray.",
)
