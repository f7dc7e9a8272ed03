"""`cxg-assets index`: the obs metadata of a release as a feather file of one's own."""

from pathlib import Path

import click

from cxg_assets.cli.project import default_store
from cxg_assets.cli.warn import warn
from cxg_assets.ingest.census.census import keep_open
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.layout import index_path
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.selection.index import export_index, make_index
from cxg_assets.ingest.selection.obs_rows import parse_obs_filter
from cxg_assets.ingest.storage.feather import feather_source
from cxg_assets.resources.census import CensusResource


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
    census = CensusResource(uri=census_uri, version=census_version)
    release = census.release()
    # Before the index is made, which takes minutes for a whole release and stays in the store.
    with census.locator(release).open() as opened:
        parse_obs_filter(value_filter, names or (), opened.obs(organism).schema, attribute="columns")
    store = default_store().locator().open()
    make_index(census.locator(release), release, organism, store)
    index_source = feather_source(store, index_path(release.version, organism))
    n_obs = export_index(index_source, value_filter, names, output, warn)
    click.echo(f"{output}: {counted(n_obs, 'cell')} of {organism}, Census build {release.build}")
