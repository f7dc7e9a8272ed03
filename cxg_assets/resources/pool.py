"""A pool of workers that make chunks: whoever dies is replaced, and what fails is tried again elsewhere."""

import itertools
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cxg_assets import settings
from cxg_assets.ingest.chunks.report import ChunkFailure, Result
from cxg_assets.ingest.errors import BadInput, CxgError, Unreachable
from cxg_assets.ingest.plan.spans import Item, Span
from cxg_assets.resources.workers import (
    Died,
    Event,
    LaunchError,
    Opened,
    PoolWorker,
    SpanEnded,
    Told,
    Workers,
    first_line,
)

logger = logging.getLogger(__name__)

SPANS_IN_FLIGHT = 2
"""Spans that a worker has at once: the one it makes and the one it takes up without waiting for the driver."""

WAIT_SECONDS = 1.0
"""Workers are never waited for without a limit: Dagster's interrupt is only seen in between."""

LATECOMER_SECONDS = 30.0
"""So long the first workers wait for the others; those who come later join in."""

NO_WORKER_SECONDS = 600.0
"""A cluster may take minutes to bring up a node. Without any worker for so long the run ends."""

IDLE_SECONDS = 10.0
"""A worker that has had nothing to do for so long while nothing waits is ended: a cluster may take its node away. What
fails in the seconds before finds another worker than the one that it has failed on."""

SLOWEST = 50.0
"""Cells a second below which a worker is not waited for: one that says nothing for `settings.worker_silence` and the
time of a chunk at this speed is taken for dead."""

MAX_IDLE_DEATHS = 3
"""Workers may die so often in a row without any result; then it is not a chunk's fault and the run ends."""

MAX_SILENCES = 3
"""A worker may find a store dead so often in a row; when all have, and nothing was stored, the rest is not tried."""


@dataclass(eq=False)
class _Task:
    """A span that a worker has; `left` are the chunks it has not told of."""

    worker: PoolWorker
    attempt: int
    left: list[Item]


@dataclass(frozen=True)
class _Waiting:
    """A span that no worker has; `not_on` is the one that it has failed on."""

    span: Span
    not_on: PoolWorker | None = None


class Pool:
    """Workers that share the chunks of a run, and are replaced when they die.

    Attributes:
        n_workers: Workers at most.
        n_retries: Chunks that were tried again, each time counted.
        n_deaths: Workers that died.
        silence: Seconds without a word after which a worker is taken for dead, as `settings.worker_silence` says.
        dashboard_url: Where the Ray of the workers can be looked at; None if nobody knows.
    """

    def __init__(self, workers: Workers, n_workers: int, max_attempts: int, dashboard_url: str | None = None) -> None:
        self.n_workers = n_workers
        self.dashboard_url = dashboard_url
        self.n_retries = 0
        self.n_deaths = 0
        self.silence = settings.worker_silence()
        self._started = workers
        self._max_attempts = max_attempts
        self._workers: list[PoolWorker] = []
        self._tasks: dict[int, _Task] = {}
        self._tickets = itertools.count()
        self._waiting: deque[_Waiting] = deque()
        self._idle_deaths = 0
        self._silences = 0

    def start(self) -> None:
        """Starts the workers side by side, and waits until they have opened the Census or have failed to.

        What keeps a worker from opening it comes out of `run`, with the chunks that it concerns. Workers that there is
        no place for are waited for only a while.

        Raises:
            LaunchError: There is a place for none of them.
        """
        for _ in range(self.n_workers):
            self._start_worker()
        began = time.monotonic()
        while len(self._open_workers()) < len(self._workers):
            for event in self._started.wait(WAIT_SECONDS):
                deque(self._take(event), maxlen=0)
            seconds = time.monotonic() - began
            if seconds > LATECOMER_SECONDS and self._open_workers():
                break
            if seconds > NO_WORKER_SECONDS:
                raise self._no_worker()

    def run(self, spans: Sequence[Span]) -> Iterator[Result]:
        """Makes the chunks of the spans, in their order.

        Raises:
            LaunchError: Workers die one after the other without making anything, there is no place for any, or Ray
                itself has died.

        Yields:
            One result for each chunk, as it comes. A failure is only yielded after `max_attempts`.
        """
        self._waiting.extend(_Waiting(span) for span in spans)
        seen = time.monotonic()
        while self._waiting or self._tasks:
            self._dispatch()
            for event in self._started.wait(WAIT_SECONDS):
                yield from self._take(event)
            yield from self._end_the_silent()
            self._release_the_idle()
            if self._open_workers():
                seen = time.monotonic()
            elif time.monotonic() - seen > NO_WORKER_SECONDS:
                raise self._no_worker()

    def close(self) -> None:
        """Ends the workers; what they were making is lost."""
        for worker in self._workers:
            self._started.end(worker)
        self._workers.clear()
        self._tasks.clear()
        self._waiting.clear()

    def _dispatch(self) -> None:
        """Replaces the dead, and gives spans to the workers that have the fewest, at most `SPANS_IN_FLIGHT` to each."""
        while self._waiting and len(self._workers) < self.n_workers:
            self._start_worker()
        kept: list[_Waiting] = []
        while self._waiting:
            workers = [worker for worker in self._open_workers() if worker.n_spans < SPANS_IN_FLIGHT]
            if not workers:
                break
            waiting = self._waiting.popleft()
            others = [worker for worker in workers if worker is not waiting.not_on]
            if not others and len(self._open_workers()) > 1:
                kept.append(waiting)
                continue
            self._give(min(others or workers, key=lambda worker: worker.n_spans), waiting.span)
        self._waiting.extendleft(reversed(kept))

    def _give(self, worker: PoolWorker, span: Span) -> None:
        ticket = next(self._tickets)
        self._tasks[ticket] = _Task(worker, span.attempt, list(span.chunks))
        if not worker.n_spans:
            worker.heard = time.monotonic()
        worker.n_spans += 1
        self._started.give(worker, ticket, span)

    def _start_worker(self) -> None:
        self._workers.append(self._started.start())

    def _open_workers(self) -> list[PoolWorker]:
        """Those who can be given work. One that waits for a place in the cluster would keep it from the others."""
        return [worker for worker in self._workers if worker.is_open]

    def _take(self, event: Event) -> Iterator[Result]:
        """Takes note of what a worker tells."""
        if isinstance(event, Opened):
            event.worker.is_open = True
            event.worker.heard = time.monotonic()
        elif isinstance(event, Died):
            yield from self._bury(event.worker, event.error)
        else:
            task = self._tasks[event.ticket]
            task.worker.heard = time.monotonic()
            if isinstance(event, Told):
                yield from self._told(task, event)
            elif isinstance(event.error, MemoryError):
                # It would fail at the next chunk too, as its memory is in pieces or its machine is full.
                self._started.end(task.worker)
                yield from self._bury(task.worker, event.error)
            else:
                yield from self._ended(event)

    def _told(self, task: _Task, event: Told) -> Iterator[Result]:
        self._idle_deaths = 0
        chunk = next(chunk for chunk in task.left if chunk.key == event.result.chunk)
        task.left.remove(chunk)
        if isinstance(event.result, ChunkFailure):
            yield from self._retry([chunk], task, event.result.error)
        else:
            self._silences = 0
            yield event.result

    def _ended(self, event: SpanEnded) -> Iterator[ChunkFailure]:
        task = self._tasks.pop(event.ticket)
        task.worker.n_spans -= 1
        if event.error is not None:
            yield from self._span_failed(task, event.error)

    def _end_the_silent(self) -> Iterator[ChunkFailure]:
        limits = {
            task.worker: self.silence + max(chunk.n_obs for chunk in task.left) / SLOWEST
            for task in self._tasks.values()
            if task.left
        }
        for worker, limit in limits.items():
            if time.monotonic() - worker.heard > limit:
                self._started.end(worker)
                yield from self._bury(worker, CxgError(f"it said nothing for {limit:.0f} seconds"))

    def _release_the_idle(self) -> None:
        """Ends workers that will not be needed, and takes back the wish for those who wait for a place."""
        if self._waiting or not self._tasks:
            return
        for worker in list(self._workers):
            if not worker.n_spans and (not worker.is_open or time.monotonic() - worker.heard > IDLE_SECONDS):
                self._started.end(worker)
                self._workers.remove(worker)

    def _span_failed(self, task: _Task, cause: Exception) -> Iterator[ChunkFailure]:
        """A worker left the rest of its span: it cannot open the Census or the subset, or a store is dead."""
        if isinstance(cause, BadInput):  # which no repetition changes
            self._waiting.appendleft(_Waiting(Span(tuple(task.left), task.attempt)))
            yield from self._give_up(str(cause))
            return
        yield from self._retry(task.left, task, str(cause))
        if isinstance(cause, Unreachable):
            self._silences += 1
            if self._silences >= MAX_SILENCES * self.n_workers:
                yield from self._give_up(f"not tried any more: {cause}")

    def _bury(self, worker: PoolWorker, error: Exception) -> Iterator[ChunkFailure]:
        """Takes a dead worker out. The chunk it was making is tried again alone: it may be what killed it.

        Raises:
            LaunchError: Workers die one after the other without making anything.
        """
        self.n_deaths += 1
        self._idle_deaths += 1
        if self._idle_deaths >= MAX_IDLE_DEATHS * self.n_workers:
            raise LaunchError(
                f"{self._idle_deaths} workers died one after the other and made nothing; the last: {error}. "
                f"{self._started.advice}"
            )
        self._workers.remove(worker)
        reason = f"a worker died: {first_line(error)}"
        logger.warning("%s", reason)
        lost = [ticket for ticket, task in self._tasks.items() if task.worker is worker]
        for position, ticket in enumerate(lost):
            task = self._tasks.pop(ticket)
            suspects, others = (task.left[:1], task.left[1:]) if position == 0 else ([], task.left)
            if others:
                self._waiting.appendleft(_Waiting(Span(tuple(others), task.attempt)))
            yield from self._retry(suspects, task, reason)

    def _give_up(self, reason: str) -> Iterator[ChunkFailure]:
        """Fails all that waits: each chunk would take minutes to say the same."""
        while self._waiting:
            span = self._waiting.popleft().span
            for chunk in span.chunks:
                yield ChunkFailure(chunk=chunk.key, error=reason, worker="", attempt=span.attempt)

    def _retry(self, chunks: Sequence[Item], task: _Task, reason: str) -> Iterator[ChunkFailure]:
        """Queues chunks for another attempt, on another worker where there is one, or gives them up."""
        if not chunks:
            return
        if task.attempt < self._max_attempts:
            self.n_retries += len(chunks)
            logger.warning("chunk %s: attempt %d failed: %s", chunks[0].key, task.attempt, reason)
            self._waiting.append(_Waiting(Span(tuple(chunks), task.attempt + 1), not_on=task.worker))
            return
        for chunk in chunks:
            yield ChunkFailure(chunk=chunk.key, error=reason, worker="", attempt=task.attempt)

    def _no_worker(self) -> LaunchError:
        return LaunchError(f"no worker after {NO_WORKER_SECONDS / 60:.0f} minutes: {self._started.no_place}")
