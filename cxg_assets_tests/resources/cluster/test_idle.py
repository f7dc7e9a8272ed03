"""Workers that are not needed any more are ended while others still work, so that their nodes can be taken away."""

from collections import deque
from collections.abc import Callable

import pytest

from cxg_assets.ingest.chunks.report import ChunkFailure
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.resources import pool as pool_module
from cxg_assets.resources.pool import Pool
from cxg_assets.resources.workers import Event, Opened, PoolWorker, SpanEnded, Told
from cxg_assets_tests.ingested import Ingested


class SaidWorkers:
    """Workers that tell what a test says."""

    advice = no_place = ""

    def __init__(self) -> None:
        self.opens = 0
        self.said: deque[Callable[[], list[Event]]] = deque()
        self.started: list[PoolWorker] = []
        self.given: list[tuple[PoolWorker, int, Span]] = []
        self.ended: list[PoolWorker] = []

    def start(self) -> PoolWorker:
        self.started.append(PoolWorker())
        return self.started[-1]

    def give(self, worker: PoolWorker, ticket: int, span: Span) -> None:
        self.given.append((worker, ticket, span))

    def wait(self, seconds: float) -> list[Event]:
        closed = [worker for worker in self.started[: self.opens] if not worker.is_open]
        if closed:
            return [Opened(worker) for worker in closed]
        return self.said.popleft()() if self.said else []

    def end(self, worker: PoolWorker) -> None:
        self.ended.append(worker)


def test_a_worker_with_nothing_left_is_ended_while_another_works_and_one_without_a_place_is_not_wished_for(
    blood: Ingested, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "IDLE_SECONDS", -1.0)
    monkeypatch.setattr(pool_module, "LATECOMER_SECONDS", -1.0)
    workers = SaidWorkers()
    pool = Pool(workers, 3, max_attempts=1)
    first, second = blood.plan.chunks[:2]

    def result(key: str) -> ChunkFailure:
        return ChunkFailure(chunk=key, error="", worker="", attempt=1)

    workers.opens = 2
    pool.start()
    told = pool.run([Span((first,)), Span((second,))])
    workers.said.append(lambda: [Told(0, result(first.key)), SpanEnded(0)])
    assert next(told).chunk == first.key
    workers.said.append(list)
    workers.said.append(lambda: [Told(1, result(second.key)), SpanEnded(1)])
    [last] = told
    assert last.chunk == second.key
    _, two, without_a_place = workers.started
    assert sorted(map(workers.started.index, workers.ended)) == [0, 2]
    assert not without_a_place.is_open
    assert two not in workers.ended
    pool.close()
    assert sorted(map(workers.started.index, workers.ended)) == [0, 1, 2]
