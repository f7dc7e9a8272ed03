"""Computes the columns of a quality, all of them in one pass over X/raw."""

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.tiles import cell_nnz
from cxg_assets.ingest.quality.checked import TYPES, CheckedQuality
from cxg_assets.ingest.quality.counting import SetsOfGenes
from cxg_assets.ingest.x.blocks import plan_blocks
from cxg_assets.ingest.x.csr import warm_up
from cxg_assets.ingest.x.reader import XReader

if TYPE_CHECKING:
    import tiledbsoma

TOTAL = "raw_sum"
"""obs column with the sum of a cell's X/raw: where obs has it, a share needs no other genes than its own."""


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """The cells of a block: their soma_joinids, (n,) int64, and totals, (n,), where obs tells them."""

    joinids: np.ndarray
    totals: np.ndarray | None


def columns_read(quality: CheckedQuality, obs_names: Iterable[str]) -> list[str]:
    """Columns of obs that `measure_cells` takes, as far as obs has them."""
    return [name for name in ("soma_joinid", "nnz", TOTAL) if name in obs_names]


def measure_cells(
    quality: CheckedQuality,
    obs: Iterable[pa.RecordBatch],
    gene_joinids: np.ndarray,
    open_x: Callable[[], "tiledbsoma.SparseNDArray"],
    n_threads: int,
) -> pa.Table:
    """Computes the columns of a quality.

    Memory: a block of X for each thread, and 8 bytes a cell and column.

    Args:
        quality: What is computed; at least one column.
        obs: The cells with `columns_read`, by soma_joinid as far as that can be.
        gene_joinids: (n_vars,) int64 soma_joinids of all genes, ascending.
        open_x: Opens X/raw; called once for each thread.
        n_threads: Threads that read and count, each a block at a time.

    Returns:
        (n_obs, columns), in the order of the cells.

    Raises:
        Unreachable: The Census's store did not answer for minutes.
        CxgError: X cannot be read.
    """
    columns, sets = quality.quality.columns, [quality.joinids[column.name] for column in quality.quality.columns]
    batches = iter(obs)
    first = next(batches)
    needs_all = any(column.kind == "share" for column in columns) and TOTAL not in first.schema.names
    genes = gene_joinids if needs_all else np.unique(np.concatenate(sets))
    sets_of_genes = SetsOfGenes(genes, sets)
    kinds = [column.kind for column in columns]
    warm_up()
    with ExitStack() as stack:
        readers: queue.SimpleQueue[XReader] = queue.SimpleQueue()
        for _ in range(n_threads):
            readers.put(XReader(stack.enter_context(open_x()), genes))

        def measure(cells: _Cells) -> list[np.ndarray]:
            reader = readers.get()
            try:
                rows, _ = reader.read_patiently(cells.joinids)
            finally:
                readers.put(reader)
            sums, nnz, read = sets_of_genes.count(rows)
            totals = read if cells.totals is None else cells.totals
            return [_value(kind, sums[:, i], nnz[:, i], totals) for i, kind in enumerate(kinds)]

        reader = readers.get()
        blocks = _blocks([first], batches, reader.share)
        readers.put(reader)
        found = list(_side_by_side(measure, blocks, n_threads))
    arrays = [
        pa.array(np.concatenate(values), TYPES[kind])
        for kind, values in zip(kinds, zip(*found, strict=True), strict=True)
    ]
    return pa.table(arrays, names=[column.name for column in columns])


def _value(kind: str, sums: np.ndarray, nnz: np.ndarray, totals: np.ndarray) -> np.ndarray:
    if kind == "nnz":
        return nnz
    if kind == "counts":
        return sums
    shares = np.zeros(len(sums))
    np.divide(sums, totals, out=shares, where=totals > 0)
    return shares


def _blocks(first: list[pa.RecordBatch], batches: Iterator[pa.RecordBatch], share: float) -> Iterator[_Cells]:
    """Cells that are read at once, of which `share` of the non-zeros are decoded."""
    for several in (first, batches):
        for batch in several:
            joinids = batch["soma_joinid"].to_numpy()
            totals = batch[TOTAL].to_numpy() if TOTAL in batch.schema.names else None
            for block in plan_blocks(joinids, cell_nnz(batch) * share):
                rows = slice(block.start, block.stop)
                yield _Cells(joinids=joinids[rows], totals=None if totals is None else totals[rows])


def _side_by_side(
    measure: Callable[[_Cells], list[np.ndarray]], blocks: Iterator[_Cells], n_threads: int
) -> Iterator[list[np.ndarray]]:
    """What is measured of each block, in their order; a block or two more than there are threads are under way."""
    under_way: deque[Future[list[np.ndarray]]] = deque()
    threads = ThreadPoolExecutor(n_threads)
    try:
        for block in blocks:
            under_way.append(threads.submit(measure, block))
            if len(under_way) > 2 * n_threads:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)
