"""`cxg-assets demo`: the demo census and the example subsets, from nothing to published datasets."""

import sys

import click

from cxg_assets import settings
from cxg_assets.cli.census import build_with_bar
from cxg_assets.cli.ingest import summary_text
from cxg_assets.cli.pool_option import POOL_OPTION
from cxg_assets.cli.project import default_store, load_subset
from cxg_assets.cli.run import run_ingest
from cxg_assets.demo import build_once
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.executors import shared_by_several_runs

EXAMPLES = ("blood_normal", "immune_markers")


@click.command("demo")
@POOL_OPTION
def demo_command(pool: str | None) -> None:
    """Builds the demo census if it is not there, and makes the example subsets from it."""
    subsets = [load_subset(name) for name in EXAMPLES]
    census_path = settings.demo_census_path()
    build_once(census_path, build_with_bar)
    failed = False
    census, store = CensusResource(uri=str(census_path)), default_store()
    with shared_by_several_runs(pool or ""):
        for subset in subsets:
            result = run_ingest(subset.spec, subset.destination, census, store, workers=0, pool=pool or "")
            click.echo(f"\n{subset.spec.name}\n{summary_text(result)}")
            if result.error:
                failed = True
                click.echo(f"cxg-assets: {result.error}", err=True)
    if failed:
        sys.exit(1)
    click.echo("\nSee the lineage and every chunk's figures: cxg-assets ui")
