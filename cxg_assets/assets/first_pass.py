"""The first of two passes over fully shuffled cells, in the pool that then makes the chunks."""

import dagster as dg

from cxg_assets.ingest.chunks.report import ChunkFailure, Costs, PieceReport
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.ingest.pools.pieces import PieceSet
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.storage.store import Store
from cxg_assets.resources.executor import StepContext
from cxg_assets.resources.pool import Pool

N_LINES = 10
"""Of the log, while the pass goes on."""


def run_first_pass(context: StepContext, pool: Pool, pieces: PieceSet, store: Store) -> Costs:
    """Makes the pieces of a set that are not stored, and tells what they took.

    Raises:
        Failure: A piece could not be made, so that no chunk can be; the others are stored.
    """
    missing = pieces.missing(store)
    n_stored = len(pieces.two_passes.pieces) - len(missing)
    context.log.info(f"first of two passes: {counted(len(missing), 'piece')} to write, {n_stored:,} already stored")
    costs: list[Costs] = []
    for n_done, result in enumerate(pool.run([Span((piece,)) for piece in missing]), 1):
        if isinstance(result, ChunkFailure):
            raise dg.Failure(
                f"{result.chunk} of the first pass failed after {counted(result.attempt, 'attempt')}: {result.error}. "
                "The pieces that are stored stay; run again to write only what is missing",
                allow_retries=False,
            )
        assert isinstance(result, PieceReport)
        costs.append(result)
        if n_done * N_LINES // len(missing) > (n_done - 1) * N_LINES // len(missing):
            context.log.info(f"first of two passes: {n_done:,} of {counted(len(missing), 'piece')}")
    return Costs.of(costs)
