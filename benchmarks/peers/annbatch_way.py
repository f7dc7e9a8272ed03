"""annbatch 0.3, by its own ways: makes a collection of h5ad files, or loads one. Needs Python 3.12 and nothing of ours.

    python annbatch_way.py make --source FOLDER --collection out.zarr --json result.json
    python annbatch_way.py load --collection out.zarr --json result.json [--pipeline zarrs]

`make` is `DatasetCollection.add_adatas` with its defaults, which shuffles. `load` is an epoch of the stock `Loader`,
with the labels of one obs column; the clock of an epoch starts when the collection is open. Peaks are of this process.
"""

import argparse
import json
import resource
import time
import warnings
from pathlib import Path

import anndata
import numpy as np
import zarr
from annbatch import DatasetCollection, Loader


def make(source: Path, collection: Path) -> dict[str, float]:
    """Makes a collection."""
    files = sorted(source.rglob("*.h5ad"))
    began, cpu = time.perf_counter(), time.process_time()
    DatasetCollection(collection, mode="a").add_adatas(files, rng=np.random.default_rng(0))
    return {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}


def load(collection: Path, pipeline: str) -> dict[str, float]:
    """Loads every cell once."""
    if pipeline == "zarrs":
        import zarrs  # noqa: F401

        zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    began = time.perf_counter()
    loader = Loader(
        shuffle=True, batch_size=4_096, chunk_size=256, preload_nchunks=64, rng=np.random.default_rng(0)
    ).use_collection(DatasetCollection(collection, mode="r"), load_adata=_with_labels)
    opened = time.perf_counter()
    cpu, n_obs, total = time.process_time(), 0, 0.0
    for batch in loader:
        n_obs += batch["X"].shape[0]
        total += float(batch["X"].data[:16].sum())
    return {
        "n_obs": n_obs,
        "open_seconds": opened - began,
        "seconds": time.perf_counter() - opened,
        "cpu_seconds": time.process_time() - cpu,
    }


def _with_labels(group: zarr.Group) -> anndata.AnnData:
    obs = anndata.io.read_elem(group["obs/cell_type"])
    n_obs = group["X"].attrs["shape"][0]
    index = [str(row) for row in range(n_obs)]
    import pandas as pd

    return anndata.AnnData(X=anndata.io.sparse_dataset(group["X"]), obs=pd.DataFrame({"cell_type": obs}, index=index))


def main() -> None:
    """Writes one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "load"])
    parser.add_argument("--source", type=Path)
    parser.add_argument("--collection", type=Path, required=True)
    parser.add_argument("--pipeline", choices=["zarrs", "zarr"], default="zarrs")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    way = make(options.source, options.collection) if options.what == "make" else None
    result = way or load(options.collection, options.pipeline)
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    options.json.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
