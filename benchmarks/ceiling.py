"""The decode ceiling: `X.read` of the same cells with the same two cores, and nothing else.

Nothing is converted, written or kept. How a read is cut changes its speed, so several ways are measured and the fastest
is the ceiling: processes of one TileDB thread that share the cells, or one process with all the threads; blocks of so
many cells, or all at once.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.common import write_result
from benchmarks.side_by_side import all_ready, run_side_by_side

TILE = 2_048


def read_share(options: argparse.Namespace, joinids: np.ndarray, genes: np.ndarray | None) -> tuple[float, float, int]:
    """Reads some cells. Returns when it began and ended (monotonic), and the non-zeros that came."""
    import pyarrow as pa
    import tiledbsoma

    config: dict[str, Any] = {
        **options.tiledb_config,
        "sm.compute_concurrency_level": options.threads,
        "sm.io_concurrency_level": options.threads,
        "soma.init_buffer_bytes": options.buffer_mib * 2**20,
    }
    if options.keep_memory:
        config["sm.mem.malloc_trim"] = "false"
    context = tiledbsoma.SOMATileDBContext(tiledb_config=config)
    root: Any = tiledbsoma.Collection.open(options.census_uri, context=context)
    x = root["census_data"]["homo_sapiens"].ms["RNA"].X["raw"]
    columns = slice(None) if genes is None else pa.array(genes)
    nnz = 0
    all_ready()
    began = time.monotonic()
    for start in range(0, len(joinids), options.block):
        cells = joinids[start : start + options.block]
        contiguous = cells[-1] - cells[0] + 1 == len(cells)
        rows = slice(int(cells[0]), int(cells[-1])) if contiguous else pa.array(cells)
        for table in x.read((rows, columns)).tables():
            nnz += table.num_rows
    return began, time.monotonic(), nnz


def shares(joinids: np.ndarray, n_shares: int) -> list[np.ndarray]:
    """Cuts sorted cells into about equal shares, where a tile ends if it can."""
    edges = [0]
    for number in range(1, n_shares):
        cell = joinids[number * len(joinids) // n_shares]
        edges.append(int(np.searchsorted(joinids, cell // TILE * TILE)) or number * len(joinids) // n_shares)
    return [joinids[start:stop] for start, stop in zip(edges, [*edges[1:], len(joinids)], strict=True)]


def main() -> None:
    """Reads the cells."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--census-uri", required=True)
    parser.add_argument("--tiledb-config", type=json.loads, default={})
    parser.add_argument("--joinids", type=Path, required=True, help=".npy of int64 soma_joinids, sorted")
    parser.add_argument("--gene-joinids", type=Path, help=".npy of int64 soma_joinids of genes; default all")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="TileDB threads of each process")
    parser.add_argument("--block", type=int, default=8_192, help="cells read at once")
    parser.add_argument("--buffer-mib", type=int, default=32, help="TileDB's buffer of each column")
    parser.add_argument("--keep-memory", action="store_true", help="TileDB does not trim the heap after a read")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    joinids = np.load(options.joinids)
    genes = None if options.gene_joinids is None else np.load(options.gene_joinids)
    results = run_side_by_side(read_share, [(options, share, genes) for share in shares(joinids, options.processes)])
    seconds = max(ended for _, ended, _ in results) - min(began for began, _, _ in results)
    nnz = sum(count for _, _, count in results)
    write_result(options.json, n_obs=len(joinids), seconds=seconds, file_bytes=[], nnz=nnz)


if __name__ == "__main__":
    main()
