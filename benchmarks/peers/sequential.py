"""Tahoe-x1's `download_cellxgene.py` (100,000 cells a file) and scGPT's `download_partition.py` (200,000 cells a file).

One process, one file after the other: `get_anndata` with every obs and var column, uncompressed `write_h5ad`. Tahoe
opens the Census once, scGPT for each file, which is nothing beside files of this size; here it is opened once. Left
out, in the peer's favour: Tahoe's `filter_genes` over each file.
"""

import time
from pathlib import Path

from benchmarks.peers.common import ORGANISM, parse_job, write_result


def main() -> None:
    """Makes the files."""
    import cellxgene_census

    job, result_file = parse_job(__doc__)
    sizes = []
    with job.open() as census:
        began = time.monotonic()
        for number, joinids in enumerate(job.chunks()):
            adata = cellxgene_census.get_anndata(
                census, organism=ORGANISM, obs_coords=joinids.tolist(), var_value_filter=job.var_value_filter
            )
            path = Path(job.destination) / f"chunk_{number}.h5ad"
            adata.write_h5ad(path)
            sizes.append(path.stat().st_size)
    write_result(result_file, n_obs=len(job.joinids), seconds=time.monotonic() - began, file_bytes=sizes)


if __name__ == "__main__":
    main()
