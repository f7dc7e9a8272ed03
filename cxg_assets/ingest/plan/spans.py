"""Spans: which chunks a worker reads together, in a single pass over the Census."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from cxg_assets.ingest.plan.chunk_plan import Chunk
from cxg_assets.ingest.plan.passes.two_passes import Piece

SPAN_NNZ = 50_000_000
"""Non-zeros of a span, about 30,000 cells: seconds of work, so that a lost worker costs little."""

SPANS_PER_WORKER = 4
"""A long run is cut into at least so many spans for each worker, so that all end at about the same time."""

SHORT_SPAN_NNZ = 13_000_000
"""Non-zeros of about four rows of X tiles. A span decodes the tiles at its two ends a second time (they belong to its
neighbours too), so shorter ones are only made where a worker would have nothing to do."""


Item = Chunk | Piece
"""What a worker makes: has a key, and cells."""


@dataclass(frozen=True)
class Span:
    """What one worker reads in one pass: chunks in plan order, or a piece of the first pass that shuffles cells fully.

    `attempt` counts from 1.
    """

    chunks: tuple[Item, ...]
    attempt: int = 1


def n_spans(nnz: int, n_workers: int, budget: int = SPAN_NNZ) -> int:
    """How many spans so many non-zeros are cut into, where there are as many chunks."""
    n_useful = max(n_workers, min(n_workers * SPANS_PER_WORKER, nnz // SHORT_SPAN_NNZ))
    return max(n_useful, -(-nnz // budget))


def plan_spans(chunks: Sequence[Chunk], n_workers: int, budget: int = SPAN_NNZ) -> list[Span]:
    """Cuts chunks into spans of about equal work.

    A worker's memory does not depend on the span: it holds blocks (see `reader.plan_blocks`), not spans.

    Args:
        chunks: The chunks to make, in plan order; they need not be neighbours. Those of a pool stay together.
        n_workers: Workers that will share the spans.
        budget: Non-zeros of a span; it may have up to a chunk more.

    Returns:
        Spans that cover the chunks in order; every span has at least one.
    """
    together = itertools.groupby(chunks, key=lambda chunk: chunk.key if chunk.pool is None else chunk.pool)
    pools = [list(pool) for _, pool in together]
    total = sum(chunk.nnz for chunk in chunks)
    number = n_spans(total, n_workers, budget)
    taken: dict[int, list[Chunk]] = {}
    nnz = 0
    for pool in pools:
        of_pool = sum(chunk.nnz for chunk in pool)
        # The span in whose even share of the work the middle of the chunk, or of the pool, lies.
        taken.setdefault((2 * nnz + of_pool) * number // max(2 * total, 1), []).extend(pool)
        nnz += of_pool
    return [Span(tuple(span)) for span in taken.values()]
