"""Spans cover the chunks in order, within their budget."""

from hypothesis import given
from hypothesis import strategies as st

from cxg_assets.ingest.plan.chunk_plan import Chunk
from cxg_assets.ingest.plan.spans import SHORT_SPAN_NNZ, SPANS_PER_WORKER, plan_spans

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
def test_spans_cover_the_chunks_in_order_and_keep_to_the_budget_but_for_a_chunk(
    nnz: list[int], n_workers: int, budget: int
) -> None:
    chunks = make_chunks(nnz)
    spans = plan_spans(chunks, n_workers, budget)

    assert [chunk for span in spans for chunk in span.chunks] == chunks
    for span in spans:
        assert span.chunks
        assert span.attempt == 1
        assert sum(chunk.nnz for chunk in span.chunks if isinstance(chunk, Chunk)) <= budget + max(nnz)


@given(n_chunks=st.integers(1, 60), n_workers=st.integers(1, 8))
def test_no_worker_is_idle_while_another_has_two_chunks(n_chunks: int, n_workers: int) -> None:
    spans = plan_spans(make_chunks([1_000] * n_chunks), n_workers)
    assert len(spans) == min(n_chunks, n_workers)
    assert max(len(span.chunks) for span in spans) - min(len(span.chunks) for span in spans) <= 1


def test_a_long_run_gives_every_worker_several_spans() -> None:
    spans = plan_spans(make_chunks([SHORT_SPAN_NNZ] * 100), n_workers=5, budget=100 * SHORT_SPAN_NNZ)
    assert len(spans) == 5 * SPANS_PER_WORKER


def test_a_short_run_is_not_cut_into_spans_that_decode_their_ends_twice() -> None:
    assert len(plan_spans(make_chunks([SHORT_SPAN_NNZ // 50] * 100), n_workers=2)) == 2


def test_chunks_over_the_budget_are_spans_of_their_own() -> None:
    spans = plan_spans(make_chunks([900, 900, 900]), n_workers=1, budget=100)
    assert [[chunk.key for chunk in span.chunks] for span in spans] == [["00000"], ["00001"], ["00002"]]


def test_chunks_need_not_be_neighbours() -> None:
    chunks = [make_chunks([5] * 10)[number] for number in (0, 4, 9)]

    assert [chunk.key for span in plan_spans(chunks, 1) for chunk in span.chunks] == ["00000", "00004", "00009"]


def test_no_chunks_make_no_spans() -> None:
    assert plan_spans([], n_workers=3) == []
