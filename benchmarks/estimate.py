"""What is told of a subset before it is made, beside what it takes: CPU, bytes and requests.

    python -m benchmarks.estimate [--census CENSUS] [--n-obs 20000]

Each subset is planned, told and made by one worker in this process, one after the other, into a temporary folder.
Prints a table in Markdown: told / took.
"""

import argparse
import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.__main__ import demo_census
from benchmarks.machine import describe_machine
from cxg_assets.ingest.census.release import read_release
from cxg_assets.ingest.chunks.report import ChunkReport, Costs
from cxg_assets.ingest.chunks.worker import IngestJob, Worker, import_ahead
from cxg_assets.ingest.dataset.estimate import estimate_planned
from cxg_assets.ingest.gene_selection import GeneSelection
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.plan.spans import plan_spans
from cxg_assets.ingest.sampling import Order
from cxg_assets.ingest.selection.index import make_index
from cxg_assets.ingest.selection.subset import make_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator

SUBSETS: dict[str, dict[str, Any]] = {
    "in order": {},
    "100 cells a file, 8,000 cells": {"chunk_size": 100, "max_obs": 8_000},
    "blood": {"value_filter": "tissue_general == 'blood'"},
    "a random fifth": {"value_filter": "observation_joinid < '6'"},
    "four genes": {"genes": GeneSelection(value_filter="feature_name in ['CD3D', 'MS4A1', 'LYZ', 'NKG7']")},
    "shuffled": {"order": Order(kind="shuffled")},
    "zarr": {"format": "zarr", "compression": "lz4"},
}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--census", type=Path, help="default: a demo census of so many cells, built once")
    parser.add_argument("--n-obs", type=int, default=20_000)
    options = parser.parse_args()
    census = options.census or demo_census(Path("/tmp/cxg-benchmarks"), options.n_obs)
    machine = describe_machine(options.n_obs, 1)
    print(json.dumps({name: machine[name] for name in ("date", "commit", "census", "cpu", "load at the start")}))
    print("| subset | cells | CPU s | read, MB | requests to read | to write | files, MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    import_ahead()
    with tempfile.TemporaryDirectory(prefix="cxg-estimate-") as folder:
        for number, (name, asked) in enumerate(SUBSETS.items()):
            spec = SubsetSpec(**{"name": "estimated", "organism": "homo_sapiens", "chunk_size": 2_000, **asked})
            print(f"| {name} | {measure(spec, census, Path(folder), number)} |", flush=True)


def measure(spec: SubsetSpec, census_uri: Path, folder: Path, number: int) -> str:
    """Makes one subset. Returns the cells of its line."""
    release = read_release("benchmark", str(census_uri), None, {})
    census, index_store = release.locator({}), StoreLocator(url=str(folder / "index")).open()
    locator = StoreLocator(url=str(folder / str(number)))
    store = locator.open()
    index = make_index(census, release, spec.experiment, index_store)
    subset = make_subset(spec, index, index_store, census, store)
    plan = store_plan(spec, subset, store, census)
    told = estimate_planned(plan, spec, index_store, store, census)
    with contextlib.closing(Worker(IngestJob(census=census, store=locator, header=plan.header))) as worker:
        results = [result for span in plan_spans(plan.chunks, 1) for result in worker.run(span)]
    reports = [result for result in results if isinstance(result, ChunkReport)]
    took, n_bytes = Costs.of(reports), sum(report.n_bytes for report in reports)
    pairs = (
        f"{told.all.cpu_seconds:.2f} / {took.cpu_seconds:.2f}",
        f"{told.all.bytes_read / 1e6:.1f} / {took.bytes_read / 1e6:.1f}",
        f"{told.all.read_requests:.0f} / {took.read_requests:.0f}",
        f"{told.all.write_requests} / {took.write_requests}",
        f"{told.n_bytes / 1e6:.1f} / {n_bytes / 1e6:.1f}",
    )
    return f"{subset.n_obs:,} | {' | '.join(pairs)}"


if __name__ == "__main__":
    main()
