"""Looks at the chunks of a plan before they are published: at all of them by one listing, at a few of them inside."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.chunks.stored_chunk import fetch_chunk
from cxg_assets.ingest.dataset.manifest import totals, unlike_plan, unlike_subset
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.finding import Fact, Finding
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan
from cxg_assets.ingest.plan.published import remedy
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.against_census import open_census_cells

N_SAMPLED = 8
"""Chunks that are read whole."""

SAMPLED_BYTES = 256 * 2**20
"""No further chunk is read beyond these, so that the look takes seconds; one is read however large it is."""

N_COMPARED = 2
"""Chunks of the sample of which cells are compared with the Census."""

N_CELLS = 64
"""Cells of each of them, one after the other: of X two rows of tiles are read at most."""


class ChunkFindings(NamedTuple):
    """What was found of the chunks of a plan.

    Attributes:
        stored: Every chunk is there, with the size that was reported.
        sums: The reports sum up to the subset.
        checksums: Sampled files have the SHA-256 that was reported.
        gene_order: Sampled files have the subset's genes in the subset's order.
        cells: A few cells of sampled files are as the Census has them.
    """

    stored: Finding
    sums: Finding
    checksums: Finding
    gene_order: Finding
    cells: Finding


def verify_chunks(
    plan: ChunkPlan, reports: Sequence[ChunkReport], sizes: Mapping[str, int], store: Store, census: CensusLocator
) -> ChunkFindings:
    """Looks at all chunks of a plan by one listing (`stored_sizes`), and into a few of them.

    Reports may be in any order. Memory: one chunk of the sample at a time.

    Raises:
        BadInput: The Census was replaced since.
        FileNotFoundError: A file of the subset is not there.
        CxgError: A file of the subset is damaged; the Census cannot be read; the store does not give what it has.
    """
    by_key = {report.chunk: report for report in reports}
    sample = sampled_chunks(plan, {key: size for key, size in sizes.items() if key in by_key})
    compared = sample[:N_COMPARED]
    damaged: list[str] = []
    misordered: list[str] = []
    different: list[str] = []
    n_cells = 0
    try:
        with open_census_cells(store, plan, census) as expected:
            for chunk in sample:
                uri, files = store.uri(plan.path(chunk)), fetch_chunk(store, plan.header, chunk)
                name = f"chunk {chunk.key}: "
                if other := files.damage(by_key[chunk.key].sha256):
                    damaged.append(name + other)
                genes = files.gene_joinids()
                if genes is None or not np.array_equal(genes, expected.genes):
                    misordered.append(f"{name}{uri} does not have the genes of the subset in its order")
                if chunk in compared:
                    cells = _some_cells(plan, chunk)
                    n_cells += cells.stop - cells.start
                    if differences := expected.differences(files, plan, chunk, cells):
                        different.append(f"{name}{uri} {'; '.join(differences)}")
    except Exception as error:
        # Of a Census that was replaced TileDB says anything.
        plan.header.subset.release.confirm(census)
        if isinstance(error, (CxgError, FileNotFoundError)):
            raise
        what = "cells or genes" if isinstance(error, pa.ArrowException) else "cells of the Census"
        raise CxgError(f"{what} of {plan.header.subset.name} cannot be read: {' '.join(str(error).split())}") from error
    if different:
        plan.header.subset.release.confirm(census)
    n_chunks, reported = len(plan.chunks), totals(reports)
    sums: dict[str, Fact] = {"n_obs": reported["n_obs"], "expected_n_obs": plan.header.subset.n_obs}
    sampled: dict[str, Fact] = {"n_looked_at": len(sample), "looked_at": [chunk.key for chunk in sample]}
    few: dict[str, Fact] = {"n_cells_compared": n_cells, "looked_at": [chunk.key for chunk in compared]}
    listed = {"n_chunks": n_chunks, "n_stored": len(sizes), "n_bytes": sum(sizes.values())}
    again = "write the missing chunks, then publish again"
    mend = remedy(store, plan.header) if damaged or misordered or different else ""
    return ChunkFindings(
        stored=Finding.of(unlike_plan(plan, reports, sizes), again, listed),
        sums=Finding.of(unlike_subset(plan, reports), again, sums | {"nnz": reported["nnz"]}),
        checksums=Finding.of(damaged, mend, {"n_chunks": n_chunks} | sampled),
        gene_order=Finding.of(misordered, mend, {"n_chunks": n_chunks} | sampled),
        cells=Finding.of(different, mend, {"n_chunks": n_chunks} | few),
    )


def sampled_chunks(plan: ChunkPlan, sizes: Mapping[str, int]) -> tuple[Chunk, ...]:
    """A few of the chunks with a size (in bytes, by key), drawn by chance that the plan's id decides, in that order."""
    stored = [chunk for chunk in plan.chunks if chunk.key in sizes]
    n_bytes = 0
    sample: list[Chunk] = []
    for place in _chance(plan).permutation(len(stored))[:N_SAMPLED]:
        chunk = stored[place]
        n_bytes += sizes[chunk.key]
        if sample and n_bytes > SAMPLED_BYTES:
            break
        sample.append(chunk)
    return tuple(sample)


def _some_cells(plan: ChunkPlan, chunk: Chunk) -> slice:
    """Rows of a chunk that are compared."""
    n_cells = min(N_CELLS, chunk.n_obs)
    start = int(_chance(plan).integers(chunk.n_obs - n_cells + 1))
    return slice(start, start + n_cells)


def _chance(plan: ChunkPlan) -> np.random.Generator:
    return np.random.default_rng(int(plan.header.plan_id, 16))
