"""Quality of cells in one pass over X/raw: cells a second and memory against scanpy on an AnnData of `get_anndata`.

    python -m benchmarks.quality --census-uri /data/census --way ours

Each way is a process of its own, so that peaks of memory are its own: `ours` takes the sums of all counts from obs and
reads the genes of the sets, `ours-all` reads all genes, as for a build without `raw_sum`, and `scanpy` reads the cells
with all genes into an AnnData and calls `calculate_qc_metrics`. The clock starts when all is imported and compiled,
and the Census is open. One line of JSON; `checksum` is equal for ways that found the same.
"""

import argparse
import json
import os
import resource
import time
import warnings
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import cellxgene_census
import numpy as np
import pyarrow as pa
import scanpy as sc

from cxg_assets.ingest.census.census import Census, CensusLocator
from cxg_assets.ingest.metrics import Quality, QualityColumn
from cxg_assets.ingest.quality.checked import check_quality
from cxg_assets.ingest.quality.measuring import columns_read, measure_cells
from cxg_assets.ingest.x.reader import BUFFER_BYTES

ORGANISM = "homo_sapiens"
MT, RIBO = ("MT-*",), ("RPS*", "RPL*")
QUALITY = Quality(
    columns=(
        QualityColumn(name="mt_share", kind="share", feature_name=MT),
        QualityColumn(name="ribo_share", kind="share", feature_name=RIBO),
        QualityColumn(name="ribo_nnz", kind="nnz", feature_name=RIBO),
        QualityColumn(name="mt_counts", kind="counts", feature_name=MT),
    )
)
ROWS_PER_BATCH = 131_072
"""Of an index."""


def by_us(census: Census, locator: CensusLocator, n_obs: int, n_threads: int, *, all_genes: bool) -> float:
    """Computes the columns. Returns the sum of all shares of mitochondrial counts."""
    obs, var = census.obs(ORGANISM), census.var(ORGANISM)
    quality = check_quality(QUALITY, obs.schema, var)
    names = [name for name in columns_read(quality, obs.schema.names) if not (all_genes and name == "raw_sum")]
    cells: pa.Table = obs.read(coords=(slice(0, n_obs - 1),), column_names=names).concat()
    open_x = partial(locator.open_x, census.layers(ORGANISM)["raw"], n_threads=1, buffer_bytes=BUFFER_BYTES)
    batches = cells.combine_chunks().to_batches(max_chunksize=ROWS_PER_BATCH)
    found = measure_cells(quality, batches, var["soma_joinid"].to_numpy(), open_x, n_threads)
    return float(found["mt_share"].to_numpy().sum())


def by_scanpy(census: Census, n_obs: int) -> float:
    """The same of an AnnData, as everyone does it."""
    get_anndata: Any = cellxgene_census.get_anndata
    adata = get_anndata(census.root, ORGANISM, obs_coords=slice(0, n_obs - 1), obs_column_names=["soma_joinid"])
    for name, patterns in (("mt", MT), ("ribo", RIBO)):
        adata.var[name] = [any(fnmatchcase(gene, pattern) for pattern in patterns) for gene in adata.var.feature_name]
    sc.pp.calculate_qc_metrics(adata, qc_vars=["mt", "ribo"], percent_top=None, log1p=False, inplace=True)
    adata.obs["ribo_nnz"] = np.asarray((adata.X[:, adata.var.ribo.to_numpy()] > 0).sum(axis=1)).ravel()
    return float(adata.obs.pct_counts_mt.to_numpy(np.float64).sum() / 100)


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--census-uri", required=True)
    parser.add_argument("--n-obs", type=int, default=131_072)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--way", choices=["ours", "ours-all", "scanpy"], required=True)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    locator = CensusLocator(uri=arguments.census_uri)
    with locator.open() as census:
        ours = partial(by_us, census, locator, n_threads=arguments.threads, all_genes=arguments.way == "ours-all")
        measure: Callable[[int], float] = partial(by_scanpy, census) if arguments.way == "scanpy" else ours
        measure(100)  # imports and compiles
        before = _peak_mb()
        cpu, start = time.process_time(), time.perf_counter()
        found = measure(arguments.n_obs)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    result = {
        "way": arguments.way,
        "n_obs": arguments.n_obs,
        "cells_per_second": round(arguments.n_obs / seconds),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_mb": round(_peak_mb()),
        "peak_mb_before": round(before),
        "checksum": round(found, 2),
    }
    print(json.dumps(result))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
