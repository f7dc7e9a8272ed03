"""The datasets that the loaders read: the demo census as chunks of 10,000 cells, and as a hundred chunks."""

from contextlib import closing
from pathlib import Path

from benchmarks.loaders.names import BUCKET, LARGE, MANY
from cxg_assets.ingest.census.release import read_release
from cxg_assets.ingest.chunks.job import IngestJob
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.chunks.worker import Worker
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.plan.spans import plan_spans
from cxg_assets.ingest.selection.index import make_index
from cxg_assets.ingest.selection.subset import make_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator


def make_datasets(census_uri: Path, folder: Path) -> None:
    """Writes and publishes both, where they are not yet."""
    locator = StoreLocator(url=str(folder / BUCKET))
    store = locator.open()
    release = read_release("benchmark", str(census_uri), None, {})
    census = release.locator({})
    index = make_index(census, release, "homo_sapiens", store)
    for name, chunk_size in ((LARGE, 10_000), (MANY, -(-index.n_obs // 100))):
        if store.exists(f"{name}/dataset.json"):
            continue
        spec = SubsetSpec(
            name=name, organism="homo_sapiens", obs_columns=("cell_type", "donor_id"), chunk_size=chunk_size
        )
        plan = store_plan(spec, make_subset(spec, index, store, census, store), store)
        with closing(Worker(IngestJob(census=census, store=locator, header=plan.header))) as worker:
            results = [result for span in plan_spans(plan.chunks, 1) for result in worker.run(span)]
        publish(store, plan, [result for result in results if isinstance(result, ChunkReport)], census)
