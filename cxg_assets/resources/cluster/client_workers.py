"""Workers on a cluster that is reached by Ray's client (`ray://`), from a machine that is no node of it."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from cxg_assets.ingest.chunks.report import Result
from cxg_assets.ingest.chunks.worker import IngestJob, Worker
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.resources.ray_workers import Actor, RayWorkers
from cxg_assets.resources.workers import Died, Event, PoolWorker, SpanEnded, Told


class SteppedWorker(Worker):
    """A worker that tells one result for each call: Ray's client knows no actor methods that yield."""

    _running: Iterator[Result] = iter(())

    def begin(self, span: Span) -> None:
        """Takes up a span."""
        self._running = self.run(span)

    def step(self) -> Result | None:
        """The next result of the span, None after the last; see `Worker.run` for what is raised."""
        return next(self._running, None)


class ClientWorkers(RayWorkers):
    """The actors of one pool, whose results are called for ahead, so that the line to the cluster costs no waiting."""

    actor_class = SteppedWorker

    def __init__(self, job: IngestJob, cpus_per_worker: float) -> None:
        """Starts nothing yet."""
        super().__init__(job, cpus_per_worker)
        self._later: dict[int, deque[Any]] = {}

    def give(self, worker: PoolWorker, ticket: int, span: Span) -> None:
        """Gives an actor a span."""
        assert isinstance(worker, Actor)
        worker.handle.begin.remote(span)
        first, *later = [worker.handle.step.remote() for _ in range(len(span.chunks) + 1)]
        self._streams[first] = worker, ticket
        self._later[ticket] = deque(later)

    def _heard_of_span(self, ref: Any) -> Iterator[Event]:
        import ray
        from ray.exceptions import RayError, RayTaskError

        actor, ticket = self._streams.pop(ref)
        later = self._later[ticket]
        try:
            result: Any = ray.get(ref)
        except RayTaskError as error:
            del self._later[ticket]
            yield SpanEnded(ticket, error.cause)
        except RayError as error:
            self._forget(actor)
            yield Died(actor, error)
        else:
            if result is None:
                del self._later[ticket]
                yield SpanEnded(ticket)
                return
            self._streams[later.popleft()] = actor, ticket
            yield Told(ticket, result)

    def _require_driver(self) -> None:
        """A client has no Ray on its own machine; one that has lost the cluster is told so by its next call."""

    def _forget(self, actor: Actor) -> None:
        for other, ticket in self._streams.values():
            if other is actor:
                self._later.pop(ticket, None)
        super()._forget(actor)
