"""The dataset that nothing happens to: made by one worker in this process, without Dagster."""

from dataclasses import replace
from pathlib import Path

from cxg_assets.cli.project import load_subset
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.resources.census import CensusResource
from cxg_assets_tests.ingested import Ingested, ingest_subset
from cxg_assets_tests.servers.command import ALL_CELLS, SUBSET


def make_undisturbed(census: Path, chunk_size: int, locator: StoreLocator) -> Ingested:
    """Makes and publishes the dataset of all cells, which commands make in a `World`.

    Args:
        census: Folder of the Census.
        chunk_size: Cells of a chunk.
        locator: An empty destination.
    """
    spec = replace(load_subset(SUBSET).spec, value_filter=ALL_CELLS, chunk_size=chunk_size)
    made = ingest_subset(spec, CensusResource(uri=str(census)).release(), locator.open(), locator)
    publish(made.store, made.plan, made.reports, made.census)
    return made
