"""`cxg-assets demo` and `census build`: a demo census, and the example subsets from it to published datasets."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from cxg_assets import settings
from cxg_assets.cli.ingest import summary_text
from cxg_assets.cli.project import default_store, load_subset, subset_names
from cxg_assets.cli.run import run_ingest
from cxg_assets.cli.terminal.telling import telling
from cxg_assets.components.defs_folder import defs_folder
from cxg_assets.demo import DEMO_SIZE, build_once
from cxg_assets.ingest.census.cpu import require_cpu
from cxg_assets.ingest.errors import BadInput
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.executors import started_ahead

EXAMPLES = ("blood_normal", "immune_markers")


def run_demo(pool: str) -> None:
    """Builds the demo census unless it exists, and writes the example subsets that the project has from it.

    Args:
        pool: `ray` or `local`; empty goes by the environment.

    Raises:
        BadInput: The project has none of them.
    """
    subsets = [load_subset(name) for name in EXAMPLES if name in subset_names()]
    if not subsets:
        raise BadInput(f"there is no example subset ({', '.join(EXAMPLES)}) in {defs_folder()}; ingest one of your own")
    census_path = settings.demo_census_path()
    build_once(census_path, partial(build_with_bar, sizes=DEMO_SIZE))
    failed = False
    census, store = CensusResource(uri=str(census_path)), default_store()
    with started_ahead(pool):
        for subset in subsets:
            result = run_ingest(subset.spec, subset.destination, census, store, workers=0, pool=pool)
            click.echo(f"\n{subset.spec.name}\n{summary_text(result)}")
            if result.error:
                failed = True
                click.echo(f"cxg-assets: {result.error}", err=True)
    if failed:
        sys.exit(1)
    click.echo("\nSee the lineage and every chunk's figures: cxg-assets ui")


def build_with_bar(path: Path, *, sizes: Mapping[str, Any], seed: int = 0) -> None:
    """Builds a demo census, and says how far it is.

    Args:
        path: Where it belongs.
        sizes: Numbers of cells, by the names that `build_census` has for them.
        seed: Of all randomness.

    Raises:
        BadInput: The folder is in use, or a number is too small.
    """
    require_cpu()
    from cxg_assets.demo import build_census

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with telling("demo census", "sampling cells") as teller, teller.count("", None, "cells") as count:
            build_census(path, **sizes, seed=seed, on_progress=count.to)
    except (ValueError, FileExistsError) as error:
        raise BadInput(str(error)) from error
