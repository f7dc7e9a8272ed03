"""How much memory a worker takes at its peak, how large its files get, and how much memory there is.

The estimates are sums of what the engine's own constants allow, 1.2 to 1.5 times what was measured. Measured peaks
(`VmHWM`) of a worker in a process that was started with `WORKER_ENVIRONMENT`, on the demo census of 131,072 cells and
61,517 genes, all genes, gzip unless said otherwise, one worker on two cores that were not idle, 2026-11-22; in MiB:

| cells a file | measured | estimate |
| --- | ---: | ---: |
| 1 | 840 | 981 |
| 100 | 662 | 982 |
| 10,000 | 714 | 1,084 |
| 10,000, storing takes 4 s | 722 | 1,084 |
| 10,000, with a second layer (2026-11-28) | 974 | 1,266 |
| 10,000, a random fifth of the cells | 838 | 1,076 |
| 10,000, not compressed, storing takes 6 s | 1,059 | 1,412 |
| 20,000 | 786 | 1,174 |
| 20,000, storing takes 8 s | 826 | 1,174 |
| 50,000 | 1,010 | 1,450 |
| 50,000, storing takes 20 s | 1,174 | 1,450 |
| 100,000 | 1,295 | 1,899 |
| 30,000, not compressed, storing takes a minute | 1,500 | 2,130 |

A Ray actor peaks some 45 MiB higher (docs/performance.md).
"""

import os
from pathlib import Path

from cxg_assets.ingest.census.census import X_TILE_BYTES
from cxg_assets.ingest.chunks.worker import N_UPLOADS
from cxg_assets.ingest.chunks.zarr import SHARD
from cxg_assets.ingest.formats import H5AD, ZARR
from cxg_assets.ingest.spec import FIXED, VARIABLE
from cxg_assets.ingest.storage.placing import IN_FLIGHT_BYTES
from cxg_assets.ingest.x.blocks import BLOCK_NNZ
from cxg_assets.ingest.x.reader import BUFFER_BYTES

PROCESS_BYTES = 400 * 2**20
"""A worker that has opened everything and made nothing: 398 to 415 MiB measured."""

POINT_BYTES = 20
"""A non-zero as TileDB gives it: two int64 joinids and a float32."""

ROW_BYTES = 8
"""A non-zero of a row: an int32 column and a float32."""

PACKED_BYTES = 2.1
"""A non-zero of a pool of shuffled cells, see `packed_rows`: 2.05 measured on raw counts of all genes."""

FURTHER_LAYER = 1.2
"""Bytes of a non-zero of a layer beside X for each of X: of normalized values 2.3 with gzip, of counts 1.95."""

OBSM_BYTES = 4
"""A value of obsm, in a file as well: embeddings do not get smaller by gzip or lz4."""

FILES_IN_MEMORY = N_UPLOADS + 1
"""Whole files that a worker holds: those being stored, and the one being made. That one is copied at its end, but then
no block is at its largest: 2.9 files were measured beside an idle process where storing took a minute."""

BYTES_PER_NNZ = {
    H5AD: {"gzip": 2.0, "lzf": 2.6, "zstd": 2.0, "none": 8.1},
    ZARR: {"lz4": 2.8, "zstd": 1.8, "none": 6.1},
}
"""Of a file, by format and compression: of h5ad 1.95, 2.51, 1.78 and 8.06, of zarr 2.72, 1.73 and 6.06 measured on raw
counts. Of the normalized layer 2.3 with gzip."""

BYTES_PER_GENE = {VARIABLE: 70, FIXED: 13}
"""Of a file's gene table, by its text, which is most of it: 68.6 and 12.8 measured at 61,517 genes."""

BYTES_PER_PLAIN_GENE = {VARIABLE: 126, FIXED: 74}
"""The same where nothing is compressed."""

BYTES_PER_ZARR_GENE, BYTES_PER_PLAIN_ZARR_GENE = 14, 100
"""Of the gene table of a zarr dataset."""


def file_bytes(
    chunk_nnz: int,
    n_vars: int,
    compression: str,
    genes_text: str = VARIABLE,
    chunk_format: str = H5AD,
    n_layers: int = 1,
    n_obsm: int = 0,
) -> int:
    """About the size of a chunk file, in bytes; obs is not counted, it is small beside X.

    `n_layers` are X and those beside it, each of about `chunk_nnz` non-zeros, `n_obsm` the values of obsm.
    """
    if chunk_format == ZARR:
        per_gene = BYTES_PER_PLAIN_ZARR_GENE if compression == "none" else BYTES_PER_ZARR_GENE
    else:
        per_gene = (BYTES_PER_PLAIN_GENE if compression == "none" else BYTES_PER_GENE)[genes_text]
    of_x = round(chunk_nnz * _of_layers(n_layers) * BYTES_PER_NNZ[chunk_format][compression])
    return of_x + n_vars * per_gene + n_obsm * OBSM_BYTES


def _of_layers(n_layers: int) -> float:
    """Bytes of all layers for each byte of X."""
    return 1 + FURTHER_LAYER * (n_layers - 1)


def worker_bytes(
    chunk_nnz: int,
    n_vars: int,
    compression: str,
    pool_nnz: int = 0,
    chunk_format: str = H5AD,
    n_layers: int = 1,
    n_obsm: int = 0,
) -> int:
    """What a worker takes at most, in bytes: its process, TileDB, two blocks, and the files that it holds.

    Not all of that is reached at once, so a worker peaks lower (the table above). `chunk_nnz` is of the largest chunk,
    `pool_nnz` of a pool of shuffled cells, of which it holds two; with further layers the pools of a plan are smaller
    by as much as a non-zero takes more. Of each layer beside X it holds a block; one at a time is read ahead.
    `n_obsm` are the values of obsm of the largest chunk.
    """
    pools = round(2 * pool_nnz * PACKED_BYTES)
    file = file_bytes(chunk_nnz, n_vars, compression, chunk_format=chunk_format, n_layers=n_layers, n_obsm=n_obsm)
    if chunk_format == ZARR:
        # A shard packed, and once more while it is joined; what is being stored.
        file = min(file, round(2 * SHARD * BYTES_PER_NNZ[ZARR][compression]) + IN_FLIGHT_BYTES)
    beside = (n_layers - 1) * BLOCK_NNZ * ROW_BYTES + min(n_obsm, BLOCK_NNZ) * ROW_BYTES
    return _FIXED_BYTES + beside + FILES_IN_MEMORY * file + pools


def largest_chunk_nnz(
    available: int,
    n_vars: int,
    compression: str,
    pool_nnz: int = 0,
    chunk_format: str = H5AD,
    n_layers: int = 1,
) -> int:
    """Non-zeros of the largest chunk with which a worker fits; 0 or less where it would not fit even without cells."""
    left = available - worker_bytes(0, n_vars, compression, pool_nnz, chunk_format, n_layers)
    return int(left / (FILES_IN_MEMORY * _of_layers(n_layers) * BYTES_PER_NNZ[chunk_format][compression]))


_FIXED_BYTES = (
    PROCESS_BYTES
    + X_TILE_BYTES
    + 3 * BUFFER_BYTES  # a column of a read each
    + BLOCK_NNZ * POINT_BYTES  # the block that is being read, before it is sorted into rows
    + 2 * BLOCK_NNZ * ROW_BYTES  # its rows, and those of the block that is being encoded
)
"""Of `worker_bytes`, what does not depend on the plan."""


def available_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that new processes can take before something has to give: of the machine, or of the container if less.

    Outside of Linux it is all memory that the machine has, as its C library tells no more. A machine's own `cgroup`
    (version 2) has no limits.
    """
    if not meminfo.exists():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    available = _figures(meminfo)["MemAvailable:"] * 1024
    limit = cgroup / "memory.max"
    if not limit.exists() or limit.read_text().strip() == "max":
        return available
    # What the page cache holds of files counts as used, but is given back when it is needed.
    used = int((cgroup / "memory.current").read_text()) - _figures(cgroup / "memory.stat")["inactive_file"]
    return max(min(available, int(limit.read_text()) - used), 0)


def _figures(file: Path) -> dict[str, int]:
    """Lines of a name and a number, as the kernel writes them."""
    return {words[0]: int(words[1]) for words in map(str.split, file.read_text().splitlines())}
