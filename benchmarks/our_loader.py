"""An epoch of `cxg_assets.training` over a published dataset, h5ad or zarr: cells a second, and of CPU.

    python -m benchmarks.our_loader --destination FOLDER --subset benchmark --json result.json

The clock starts when what is published has been looked up and a first batch has been handed out, which compiles.
"""

import argparse
import json
import resource
import time
from pathlib import Path

from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.training import batches


def main() -> None:
    """Writes one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--destination", required=True)
    parser.add_argument("--subset", default="benchmark")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    place = StoreLocator(url=options.destination)
    next(iter(batches(place, options.subset, batch_size=4_096, labels=["cell_type"])))
    began = time.perf_counter()
    loader = batches(place, options.subset, batch_size=4_096, labels=["cell_type"])
    opened, cpu, n_obs = time.perf_counter(), time.process_time(), 0
    for batch in loader:
        n_obs += len(batch.joinids)
    result = {
        "n_obs": n_obs,
        "open_seconds": opened - began,
        "seconds": time.perf_counter() - opened,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    options.json.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
