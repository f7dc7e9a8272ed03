"""Looks at the chunks of a plan before they are published: at all of them by one listing, at a few of them inside."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.dataset.manifest import landed_problems, sum_problems
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan
from cxg_assets.ingest.plan.published import remedy
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.against_census import open_truth
from cxg_assets.ingest.verify.audit import Audit, Fact

N_SAMPLED = 8
"""Chunks that are read whole."""

SAMPLED_BYTES = 256 * 2**20
"""No further chunk is read beyond these, so that the look takes seconds; one is read however large it is."""

N_COMPARED = 2
"""Chunks of the sample of which cells are compared with the Census."""

N_CELLS = 64
"""Cells of each of them, one after the other: of X two rows of tiles are read at most."""

N_NAMED = 5
"""How many wrong chunks a message names."""


@dataclass(frozen=True, kw_only=True)
class ChunkAudits:
    """What was found out of the chunks of one plan.

    Attributes:
        landed: Every chunk is there, with the size that was reported.
        manifest: The reports sum up to the subset.
        checksums: Sampled files have the SHA-256 that was reported.
        gene_order: Sampled files have the subset's genes in the subset's order.
        cells: A few cells of sampled files are as the Census has them.
    """

    landed: Audit
    manifest: Audit
    checksums: Audit
    gene_order: Audit
    cells: Audit


def audit_chunks(
    plan: ChunkPlan, reports: Sequence[ChunkReport], sizes: Mapping[str, int], store: Store, census: CensusLocator
) -> ChunkAudits:
    """Looks at the chunks of a plan.

    Memory: one chunk of the sample at a time.

    Args:
        plan: The plan.
        reports: Of chunks that were made, in any order.
        sizes: Sizes in bytes of what lies at the destination, by chunk key.
        store: The destination.
        census: Where the release is.

    Raises:
        BadInput: The Census was replaced since.
        FileNotFoundError: A file of the subset is not there.
        CxgError: A file of the subset is damaged; the Census cannot be read; the store does not give what it has.
    """
    by_key = {report.chunk: report for report in reports}
    sample = sampled_chunks(plan, {key: size for key, size in sizes.items() if key in by_key})
    compared = sample[:N_COMPARED]
    damaged: dict[str, str] = {}
    misordered: dict[str, str] = {}
    different: dict[str, str] = {}
    n_cells = 0
    try:
        with open_truth(store, plan, census) as truth:
            for chunk in sample:
                data = store.get(plan.path(chunk))
                sha256, expected = hashlib.sha256(data).hexdigest(), by_key[chunk.key].sha256
                if sha256 != expected:
                    damaged[chunk.key] = f"has SHA-256 {sha256[:12]}…, {expected[:12]}… was reported"
                genes = _genes_of(data)
                if genes is None or not np.array_equal(genes, truth.genes):
                    misordered[chunk.key] = "does not have the genes of the subset in its order"
                if chunk in compared:
                    cells = _some_cells(plan, chunk)
                    n_cells += cells.stop - cells.start
                    differences = truth.differences(data, plan, chunk, cells)
                    if differences:
                        different[chunk.key] = "; ".join(differences)
    except Exception as error:
        # Of a Census that was replaced TileDB says anything.
        plan.header.release.confirm(census)
        if isinstance(error, (CxgError, FileNotFoundError)):
            raise
        what = "cells or genes" if isinstance(error, pa.ArrowException) else "cells of the Census"
        raise CxgError(f"{what} of {plan.header.subset} cannot be read: {' '.join(str(error).split())}") from error
    if different:
        plan.header.release.confirm(census)
    names = [chunk.key for chunk in sample]
    looked_at: dict[str, Fact] = {"n_chunks": len(plan.chunks), "n_looked_at": len(names), "looked_at": names}
    listed: dict[str, Fact] = {"n_chunks": len(plan.chunks), "n_landed": len(sizes), "n_bytes": sum(sizes.values())}
    sums: dict[str, Fact] = {
        "n_obs": sum(report.n_obs for report in reports),
        "expected_n_obs": plan.header.n_obs,
        "nnz": sum(report.nnz for report in reports),
    }
    compared_facts: dict[str, Fact] = {
        "n_chunks": len(plan.chunks),
        "n_cells_compared": n_cells,
        "looked_at": [chunk.key for chunk in compared],
    }
    missing = "make the missing chunks, then publish again"
    return ChunkAudits(
        landed=Audit(wrong=_some(landed_problems(plan, reports, sizes), missing), facts=listed),
        manifest=Audit(wrong=_some(sum_problems(plan, reports), missing), facts=sums),
        checksums=_audit(plan, store, damaged, looked_at),
        gene_order=_audit(plan, store, misordered, looked_at),
        cells=_audit(plan, store, different, compared_facts),
    )


def sampled_chunks(plan: ChunkPlan, sizes: Mapping[str, int]) -> tuple[Chunk, ...]:
    """A few chunks by chance, in the order in which they were drawn; for a plan always the same.

    Args:
        plan: The plan; its id decides.
        sizes: Sizes in bytes of the chunks that may be drawn, by key.
    """
    landed = [chunk for chunk in plan.chunks if chunk.key in sizes]
    n_bytes = 0
    sample: list[Chunk] = []
    for place in _chance(plan).permutation(len(landed))[:N_SAMPLED]:
        chunk = landed[place]
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


def _genes_of(data: bytes) -> np.ndarray | None:
    """soma_joinids of a chunk's genes in order, (n_vars,) int64; None when it cannot be read."""
    try:
        with h5py.File(io.BytesIO(data)) as file:
            genes: Any = file["var/soma_joinid"]
            return genes[:]
    except (OSError, KeyError):
        return None


def _audit(plan: ChunkPlan, store: Store, wrong: Mapping[str, str], facts: Mapping[str, Fact]) -> Audit:
    by_key = {chunk.key: chunk for chunk in plan.chunks}
    problems = [f"chunk {key}: {store.uri(plan.path(by_key[key]))} {what}" for key, what in wrong.items()]
    return Audit(wrong=_some(problems, remedy(store, plan.header) if problems else ""), facts=facts)


def _some(problems: Sequence[str], advice: str) -> str:
    """The first problems and what to do; empty when there is none."""
    if not problems:
        return ""
    more = f" and {len(problems) - N_NAMED} more" if len(problems) > N_NAMED else ""
    return f"{'; '.join(problems[:N_NAMED])}{more}; {advice}"
