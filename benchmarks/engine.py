"""Our engine alone: the same workers in plain processes, without Dagster and Ray.

What it is for: where the command loses time, this says how much of it is the engine's. The clock starts when every
worker has opened the Census and the subset, and ends when the last chunk is stored.
"""

import argparse
import contextlib
import itertools
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.peers.common import write_result
from benchmarks.side_by_side import all_ready, run_side_by_side
from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import read_release
from cxg_assets.ingest.chunks.report import ChunkFailure, ChunkReport
from cxg_assets.ingest.chunks.worker import IngestJob, Worker
from cxg_assets.ingest.chunks.worker_environment import WORKER_ENVIRONMENT
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.formats import FORMATS, H5AD
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.plan.spans import Span, plan_spans
from cxg_assets.ingest.pools.pieces import begin_pieces
from cxg_assets.ingest.sampling import CENSUS_ORDER, ORDERS, Order
from cxg_assets.ingest.selection.index import make_index
from cxg_assets.ingest.selection.subset import make_subset
from cxg_assets.ingest.spec import LAYERS, GeneSelection, SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator


def make_plan(options: argparse.Namespace, store: StoreLocator) -> tuple[ChunkPlan, CensusLocator]:
    """Release, index, subset and plan, as the assets make them."""
    release = read_release("benchmark", options.census_uri, None, options.tiledb_config)
    census, opened = release.locator(options.tiledb_config), store.open()
    genes = tuple(gene for gene in options.genes.split(",") if gene)
    spec = SubsetSpec(
        name="benchmark",
        organism="homo_sapiens",
        value_filter=options.value_filter or None,
        max_obs=options.max_obs,
        chunk_size=options.chunk_size,
        genes=GeneSelection(feature_ids=genes) if genes else None,
        order=Order(kind=options.order),
        format=options.format,
        further_layers={options.beside_x: options.beside_x} if options.beside_x else {},
    )
    index = make_index(census, release, spec.organism, opened)
    return store_plan(spec, make_subset(spec, index, opened, census, opened), opened), census


def work(
    job: IngestJob, pieces: Sequence[Span], spans: Sequence[Span]
) -> tuple[float, float, float, list[ChunkReport]]:
    """Makes some pieces of a first pass, and then some spans.

    Returns when it began and ended (monotonic), the seconds of CPU between, and the reports.

    Raises:
        RuntimeError: A chunk failed.
    """
    reports: list[ChunkReport] = []
    with contextlib.closing(Worker(job)) as worker:
        worker.open()
        all_ready()
        began, cpu = time.monotonic(), time.process_time()
        for some in (pieces, spans):
            for result in (result for span in some for result in worker.run(span)):
                if isinstance(result, ChunkFailure):
                    raise RuntimeError(f"{result.chunk} failed: {result.error}")
                if isinstance(result, ChunkReport):
                    reports.append(result)
            if some is pieces and job.pieces is not None:
                all_ready()
        return began, time.monotonic(), time.process_time() - cpu, reports


def main() -> None:
    """Makes the chunks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--census-uri", required=True)
    parser.add_argument("--tiledb-config", type=json.loads, default={})
    parser.add_argument("--value-filter", default="")
    parser.add_argument("--max-obs", type=int)
    parser.add_argument("--beside-x", choices=LAYERS, help="a second layer")
    parser.add_argument("--chunk-size", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--n-chunks", type=int, help="make whole spans with so many chunks at least; default: all")
    parser.add_argument("--destination", required=True, help="a folder or s3://bucket/prefix")
    parser.add_argument("--genes", default="")
    parser.add_argument("--order", choices=ORDERS, default=CENSUS_ORDER)
    parser.add_argument("--format", choices=FORMATS, default=H5AD)
    parser.add_argument("--publish", action="store_true", help="publish the chunks when the clock has ended")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    store = StoreLocator(url=options.destination)
    plan, census = make_plan(options, store)
    n_threads = max((os.cpu_count() or 1) // options.workers, 1)
    set_of_pieces = begin_pieces(store.open(), plan, plan.chunks, "benchmark")
    job = IngestJob(census=census, store=store, header=plan.header, n_threads=n_threads, pieces=set_of_pieces)
    pieces = [] if plan.two_passes is None else [Span((piece,)) for piece in plan.two_passes.pieces]
    spans = first_spans(plan_spans(plan.chunks, options.workers), options.n_chunks)
    shares = [
        (job, pieces[number :: options.workers], spans[number :: options.workers]) for number in range(options.workers)
    ]
    os.environ.update(WORKER_ENVIRONMENT)
    results = run_side_by_side(work, shares)
    seconds = max(ended for _, ended, _, _ in results) - min(began for began, _, _, _ in results)
    reports = [report for *_, some in results for report in some]
    if options.publish:
        publish(store.open(), plan, reports, census)
    write_result(
        options.json,
        n_obs=sum(report.n_obs for report in reports),
        seconds=seconds,
        cpu_seconds=sum(cpu for _, _, cpu, _ in results),
        file_bytes=[report.n_bytes for report in reports],
        **stage_seconds([asdict(report) for report in reports]),
    )


def first_spans(spans: Sequence[Span], n_chunks: int | None) -> Sequence[Span]:
    """The first spans that have so many chunks together; all for None."""
    if n_chunks is None:
        return spans
    n_before = itertools.accumulate((len(span.chunks) for span in spans), initial=0)
    return [span for span, n in zip(spans, n_before, strict=False) if n < n_chunks]


def stage_seconds(reports: Sequence[dict]) -> dict[str, float]:
    """Seconds of each stage, summed over all chunks and workers."""
    names = ("read_seconds", "encode_seconds", "upload_seconds")
    return {name: sum(report[name] for report in reports) for name in names}


if __name__ == "__main__":
    main()
