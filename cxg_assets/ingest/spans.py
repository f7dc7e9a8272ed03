"""Spans: which chunks a worker reads together, in a single pass over the Census."""

from collections.abc import Sequence
from dataclasses import dataclass

from cxg_assets.ingest.plan import Chunk

SPAN_NNZ = 50_000_000
"""Non-zeros of a span, about 30,000 cells: seconds of work, so that a lost worker costs little."""

SPANS_PER_WORKER = 4
"""A run is cut into at least so many spans for each worker, so that all end at about the same time."""


@dataclass(frozen=True)
class Span:
    """Chunks in plan order that one worker reads in one pass; `attempt` counts from 1."""

    chunks: tuple[Chunk, ...]
    attempt: int = 1


def plan_spans(chunks: Sequence[Chunk], n_workers: int, budget: int = SPAN_NNZ) -> list[Span]:
    """Cuts chunks into spans of about equal work.

    A worker's memory does not depend on the span: it holds blocks (see `reader.plan_blocks`), not spans.

    Args:
        chunks: The chunks to make, in plan order; they need not be neighbours.
        n_workers: Workers that will share the spans.
        budget: Non-zeros of a span; a single chunk may have more.

    Returns:
        Spans that cover the chunks in order; every span has at least one.
    """
    budget = min(budget, sum(chunk.nnz for chunk in chunks) // (n_workers * SPANS_PER_WORKER))
    spans: list[Span] = []
    taken: list[Chunk] = []
    nnz = 0
    for chunk in chunks:
        if taken and nnz + chunk.nnz > budget:
            spans.append(Span(tuple(taken)))
            taken, nnz = [], 0
        taken.append(chunk)
        nnz += chunk.nnz
    if taken:
        spans.append(Span(tuple(taken)))
    return spans
