"""Spans cover the chunks in order, within their budget."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cxg_assets.ingest.plan import Chunk
from cxg_assets.ingest.spans import SPANS_PER_WORKER, plan_spans

NNZ = st.lists(st.integers(0, 1_000_000), max_size=60)


def make_chunks(nnz: list[int]) -> list[Chunk]:
    return [
        Chunk(
            key=f"{number:05d}",
            row_start=number,
            row_stop=number + 1,
            nnz=count,
            n_tiles=1,
            first_joinid=number,
            last_joinid=number,
            fingerprint="f",
        )
        for number, count in enumerate(nnz)
    ]


@given(nnz=NNZ, n_workers=st.integers(1, 8), budget=st.integers(1, 5_000_000))
def test_spans_cover_the_chunks_in_order_within_their_budget(nnz: list[int], n_workers: int, budget: int) -> None:
    chunks = make_chunks(nnz)

    spans = plan_spans(chunks, n_workers, budget)

    assert [chunk for span in spans for chunk in span.chunks] == chunks
    share = sum(nnz) // (n_workers * SPANS_PER_WORKER)
    for span in spans:
        assert len(span.chunks) == 1 or 0 < len(span.chunks) <= len(chunks)
        assert len(span.chunks) == 1 or sum(chunk.nnz for chunk in span.chunks) <= min(budget, share)
        assert span.attempt == 1


@given(nnz=NNZ, n_workers=st.integers(1, 8), budget=st.integers(1, 5_000_000))
def test_spans_are_as_long_as_the_budget_allows(nnz: list[int], n_workers: int, budget: int) -> None:
    spans = plan_spans(make_chunks(nnz), n_workers, budget)

    limit = min(budget, sum(nnz) // (n_workers * SPANS_PER_WORKER))
    for span, following in pairwise(spans):
        assert sum(chunk.nnz for chunk in span.chunks) + following.chunks[0].nnz > limit


def test_every_worker_gets_several_spans_when_there_are_chunks_enough() -> None:
    assert len(plan_spans(make_chunks([1_000] * 100), n_workers=5)) >= 5 * SPANS_PER_WORKER


def test_a_chunk_over_the_budget_is_a_span_of_its_own() -> None:
    spans = plan_spans(make_chunks([10, 900, 10, 10]), n_workers=1, budget=100)

    assert [[chunk.key for chunk in span.chunks] for span in spans] == [["00000"], ["00001"], ["00002", "00003"]]


def test_chunks_need_not_be_neighbours() -> None:
    chunks = [make_chunks([5] * 10)[number] for number in (0, 4, 9)]

    assert [chunk.key for span in plan_spans(chunks, 1) for chunk in span.chunks] == ["00000", "00004", "00009"]


def test_no_chunks_make_no_spans() -> None:
    assert plan_spans([], n_workers=3) == []
