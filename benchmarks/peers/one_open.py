"""What a careful user of `cellxgene_census` writes: one open Census, `get_anndata` and `write_h5ad` for each file.

The obs columns are those of our chunks and the compression is an option, so that the files hold what ours hold. With
more than one worker the files are shared out to processes, each with its own open Census and its share of the cores.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.common import ORGANISM, PeerJob, parse_job, write_result
from benchmarks.side_by_side import all_ready, run_side_by_side

OBS_COLUMNS = [
    "soma_joinid", "assay", "cell_type", "tissue", "tissue_general", "suspension_type", "disease", "donor_id",
    "dataset_id",
]  # fmt: skip
"""The default columns of our chunks."""


def make_files(job: PeerJob, first: int) -> tuple[float, float, list[int]]:
    """Makes every `job.workers`-th file, from `first` on.

    Args:
        job: What to make.
        first: Number of the first file.

    Returns:
        When it began and ended (monotonic), and the sizes of the files.
    """
    import cellxgene_census

    if job.workers > 1:
        n_threads = str(max((os.cpu_count() or 1) // job.workers, 1))
        job.tiledb_config.update({"sm.compute_concurrency_level": n_threads, "sm.io_concurrency_level": n_threads})
    sizes = []
    with job.open() as census:
        all_ready()
        began = time.monotonic()
        for number, joinids in list(enumerate(job.chunks()))[first :: job.workers]:
            adata = cellxgene_census.get_anndata(
                census,
                organism=ORGANISM,
                obs_coords=_coords(joinids),
                var_value_filter=job.var_value_filter,
                column_names={"obs": OBS_COLUMNS},
            )
            path = Path(job.destination) / f"{number}.h5ad"
            adata.write_h5ad(path, compression=job.compression)  # type: ignore[arg-type]
            sizes.append(path.stat().st_size)
    return began, time.monotonic(), sizes


def _coords(joinids: np.ndarray) -> Any:
    """A slice where the cells are contiguous, which TileDB reads faster than points."""
    if joinids[-1] - joinids[0] + 1 == len(joinids):
        return slice(int(joinids[0]), int(joinids[-1]))
    return joinids


def main() -> None:
    """Makes the files, in one process or in several."""
    job, result_file = parse_job(__doc__)
    if job.workers == 1:
        results = [make_files(job, 0)]
    else:
        results = run_side_by_side(make_files, [(job, first) for first in range(job.workers)])
    seconds = max(ended for _, ended, _ in results) - min(began for began, _, _ in results)
    sizes = [size for _, _, some in results for size in some]
    write_result(result_file, n_obs=len(job.joinids), seconds=seconds, file_bytes=sizes)


if __name__ == "__main__":
    main()
