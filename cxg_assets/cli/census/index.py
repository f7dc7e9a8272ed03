"""`cxg-assets index` and `count`: the obs metadata of a release as a file of one's own, and what it answers."""

import contextlib
import os
from pathlib import Path

import click
from pydantic_core import to_json

from cxg_assets.cli.project import default_store, load_subset, look_up_release
from cxg_assets.cli.terminal.teller import Count, Teller
from cxg_assets.cli.terminal.telling import telling
from cxg_assets.cli.warn import warn
from cxg_assets.ingest.census.census import CensusLocator, keep_open
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.dataset.estimate import estimate
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.layout import index_path
from cxg_assets.ingest.plan.preflight import check_subset
from cxg_assets.ingest.quantities import counted, duration, size
from cxg_assets.ingest.selection.index import CensusIndex, export_index, make_index
from cxg_assets.ingest.selection.list_files import read_lists
from cxg_assets.ingest.selection.obs_rows import parse_obs_filter
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import feather_source
from cxg_assets.ingest.storage.store import Store
from cxg_assets.resources.census import CensusResource

_PLURALS = {"donor_id": "donors", "dataset_id": "datasets", "cell_type": "cell types"}


@keep_open()
def write_index(
    organism: str, output: Path, value_filter: str | None, columns: str | None, census_uri: str, census_version: str
) -> None:
    """Writes obs of an organism, filtered, to a feather file of the user's.

    Raises:
        BadInput: Organism, filter or columns are not of this Census, or the folder is not there; nothing was written.
    """
    names = None if columns is None else [name.strip() for name in columns.split(",")]
    if not output.parent.is_dir():
        raise BadInput(f"output: {output.parent} is not a folder; create it first")
    lists = read_lists(value_filter, Path)
    census = CensusResource(uri=census_uri, version=census_version)
    with telling("index") as teller:
        release = look_up_release(census, teller)
        # Before the index is made, which takes minutes for a whole release and stays in the store.
        with census.locator(release).open() as opened:
            parse_obs_filter(value_filter, names or (), opened.obs(organism).schema, lists=lists, attribute="columns")
        store = default_store().locator().open()
        prepare_index(census.locator(release), release, organism, store, teller)
        teller.step("writing the selected rows")
        index_source = feather_source(store, index_path(release.version, organism))
        n_obs = export_index(index_source, value_filter, names, output, warn, lists=lists)
    click.echo(f"{output}: {counted(n_obs, 'cell')} of {organism}, Census build {release.build}")


def prepare_index(
    locator: CensusLocator, release: Release, organism: str, store: Store, teller: Teller
) -> CensusIndex:
    """Makes the index unless it is there, and says how far it is."""
    teller.step("looking up the census index")
    with contextlib.ExitStack() as stack:
        counts: list[Count] = []

        def tell(n_done: int, n_rows: int) -> None:
            if not counts:
                counts.append(stack.enter_context(teller.count("census index", n_rows, "cells")))
            counts[0].to(n_done, n_rows)

        return make_index(locator, release, organism, store, tell)


def count_subset(subset: str, census_uri: str, census_version: str, as_json: bool) -> None:
    """Prints what a subset would be; errors are those of `count`, and that there is none of that name."""
    count(load_subset(subset).spec, CensusResource(uri=census_uri, version=census_version), as_json=as_json)


@keep_open()
def count(spec: SubsetSpec, census: CensusResource, *, workers: int | None = None, as_json: bool = False) -> None:
    """Prints what a subset would be, from the census index; makes the index where there is none.

    Raises:
        BadInput: The subset does not fit this Census; nothing was written.
    """
    with telling(spec.name) as teller:
        release, store = look_up_release(census, teller), default_store().locator().open()
        locator = census.locator(release)
        check_subset(spec, locator)
        index = prepare_index(locator, release, spec.experiment, store, teller)
        teller.step("selecting cells and genes")
        n_workers = workers or os.cpu_count() or 1
        found = estimate(spec, index, store, locator, warn, n_workers)
    if as_json:
        click.echo(to_json(found).decode())
        return
    distinct = ", ".join(f"{number:,} {_PLURALS[name]}" for name, number in found.n_distinct.items())
    click.echo(f"{spec.name}: {counted(found.n_obs, 'cell')} of {spec.experiment}, {counted(found.n_vars, 'gene')}")
    click.echo(f"  of {distinct}; Census build {release.build}")
    for part, n_obs in found.parts.items():
        click.echo(f"  {part}: {counted(n_obs, 'cell')}, {100 * n_obs / found.n_obs:.1f} %")
    if spec.quality is not None:
        click.echo("  before quality, which leaves out some of them: it is known when X/raw of all was read")
    made = f"{counted(found.n_files, 'file')}, {size(found.n_bytes)}"
    took = f"{duration(found.worker_seconds / n_workers)} with {counted(n_workers, 'worker')} here"
    click.echo(f"  about {made}, {took} once they have started")
    reads = f"{size(found.bytes_read)} read in {counted(round(found.read_requests), 'request')}"
    writes = f"{counted(found.write_requests, 'request')} to write"
    click.echo(f"  about {duration(found.cpu_seconds)} of CPU, {reads}, {writes}")
