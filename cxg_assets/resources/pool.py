"""A pool of Ray actors that make chunks: whoever dies is replaced, and what fails is tried again elsewhere."""

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cxg_assets.ingest.errors import BadInput, CxgError, Unreachable
from cxg_assets.ingest.plan import Chunk
from cxg_assets.ingest.report import ChunkFailure, ChunkReport
from cxg_assets.ingest.spans import Span
from cxg_assets.ingest.worker import IngestJob
from cxg_assets.resources.actor import Actor, require_living_node, start_actor
from cxg_assets.resources.errors import LaunchError

logger = logging.getLogger(__name__)

SPANS_IN_FLIGHT = 2
"""Spans that a worker has at once: the one it makes and the one it takes up without waiting for the driver."""

WAIT_SECONDS = 1.0
"""Ray is never waited for without a limit: Dagster's interrupt is only seen in between."""

LATECOMER_SECONDS = 30.0
"""So long the first workers wait for the others; those who come later join in."""

NO_WORKER_SECONDS = 600.0
"""A cluster may take minutes to bring up a node. Without any worker for so long the run ends."""

SILENT_SECONDS = 300.0
"""A worker that says nothing for so long, and the time of a chunk at `SLOWEST` besides, is taken for dead. One whose
store is away says so after 240 s at most."""

SLOWEST = 50.0
"""Cells a second below which a worker is not waited for."""

MAX_IDLE_DEATHS = 3
"""Workers may die so often in a row without any result; then it is not a chunk's fault and the run ends."""

MAX_SILENCES = 3
"""A worker may find a store dead so often in a row; when all have, and nothing landed, the rest is not tried."""

Result = ChunkReport | ChunkFailure


@dataclass(eq=False)
class _Task:
    """A span that an actor works on; `left` are the chunks it has not told of."""

    actor: Actor
    attempt: int
    left: list[Chunk]


@dataclass(frozen=True)
class _Waiting:
    """A span that no actor has; `not_on` is the one that it has failed on."""

    span: Span
    not_on: Actor | None = None


class Pool:
    """Actors that share the chunks of a run, and are replaced when they die.

    Attributes:
        n_workers: Actors at most.
        n_retries: Chunks that were tried again, each time counted.
        n_deaths: Actors that died.
        dashboard_url: Where the Ray of the actors can be looked at; None if nobody knows.
    """

    def __init__(
        self,
        job: IngestJob,
        n_workers: int,
        cpus_per_worker: float,
        max_attempts: int,
        dashboard_url: str | None = None,
    ) -> None:
        self.n_workers = n_workers
        self.dashboard_url = dashboard_url
        self.n_retries = 0
        self.n_deaths = 0
        self._job = job
        self._cpus_per_worker = cpus_per_worker
        self._max_attempts = max_attempts
        self._actors: list[Actor] = []
        self._tasks: dict[Any, _Task] = {}
        self._waiting: deque[_Waiting] = deque()
        self._idle_deaths = 0
        self._silences = 0

    def start(self) -> None:
        """Starts the actors side by side, and waits until they have opened the Census or have failed to.

        What keeps an actor from opening it comes out of `run`, with the chunks that it concerns. Actors that Ray has no
        place for are waited for only a while.

        Raises:
            LaunchError: Ray has a place for none of them.
        """
        for _ in range(self.n_workers):
            self._start_actor()
        began = time.monotonic()
        while any(actor.opening is not None for actor in self._actors):
            for ref in self._ready():
                self._open(ref)
            seconds = time.monotonic() - began
            if seconds > LATECOMER_SECONDS and self._open_actors():
                break
            if seconds > NO_WORKER_SECONDS:
                raise self._no_worker()

    def run(self, spans: Sequence[Span]) -> Iterator[Result]:
        """Makes the chunks of the spans.

        Args:
            spans: In the order in which they should be made.

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
            for ref in self._ready():
                if ref in self._tasks:
                    yield from self._next_result(ref)
                else:
                    self._open(ref)
            yield from self._end_the_silent()
            if self._open_actors():
                seen = time.monotonic()
            elif time.monotonic() - seen > NO_WORKER_SECONDS:
                raise self._no_worker()

    def close(self) -> None:
        """Ends the actors; what they were making is lost."""
        for actor in self._actors:
            actor.end()
        self._actors.clear()
        self._tasks.clear()
        self._waiting.clear()

    def _dispatch(self) -> None:
        """Replaces the dead, and gives spans to the actors that have the fewest, at most `SPANS_IN_FLIGHT` to each."""
        while self._waiting and len(self._actors) < self.n_workers:
            require_living_node()
            self._start_actor()
        kept: list[_Waiting] = []
        while self._waiting:
            actors = [actor for actor in self._open_actors() if actor.n_spans < SPANS_IN_FLIGHT]
            if not actors:
                break
            waiting = self._waiting.popleft()
            others = [actor for actor in actors if actor is not waiting.not_on]
            if not others and len(self._open_actors()) > 1:
                kept.append(waiting)
                continue
            self._give(min(others or actors, key=lambda actor: actor.n_spans), waiting.span)
        self._waiting.extendleft(reversed(kept))

    def _give(self, actor: Actor, span: Span) -> None:
        stream = actor.handle.run.options(num_returns="streaming").remote(span)
        self._tasks[stream] = _Task(actor, span.attempt, list(span.chunks))
        if not actor.n_spans:
            actor.heard = time.monotonic()
        actor.n_spans += 1

    def _start_actor(self) -> None:
        self._actors.append(start_actor(self._job, self._cpus_per_worker))

    def _open_actors(self) -> list[Actor]:
        """Those who can be given work. One that waits for a place in the cluster would keep it from the others."""
        return [actor for actor in self._actors if actor.opening is None]

    def _ready(self) -> list[Any]:
        """What an actor has to tell: a result of a span, or that it is open."""
        import ray
        from ray.exceptions import RayError

        refs = [*self._tasks, *(actor.opening for actor in self._actors if actor.opening is not None)]
        try:
            return ray.wait(refs, num_returns=1, timeout=WAIT_SECONDS, fetch_local=False)[0]
        except RayError as error:
            raise LaunchError(f"Ray does not answer any more: {_first_line(error)}") from error

    def _open(self, ref: Any) -> None:
        """Takes note that an actor has opened the Census; if it could not, its first span tells why."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        [actor] = [actor for actor in self._actors if actor.opening == ref]
        try:
            ray.get(ref)
        except RayTaskError:
            pass
        except RayError as error:
            self._take_out(actor, error)
            return
        actor.opening = None

    def _next_result(self, stream: Any) -> Iterator[Result]:
        import ray
        from ray.exceptions import RayError, RayTaskError

        task = self._tasks[stream]
        task.actor.heard = time.monotonic()
        try:
            result: Any = ray.get(next(stream))
        except StopIteration:
            self._end(stream)
        except RayTaskError as error:
            if isinstance(error.cause, MemoryError):
                # It would fail at the next chunk too, as its memory is in pieces or its machine is full.
                task.actor.end()
                yield from self._bury(task.actor, error.cause)
                return
            self._end(stream)
            yield from self._span_failed(task, error.cause)
        except RayError as error:
            # The actor died, its node did, or Ray ended it for want of memory.
            yield from self._bury(task.actor, error)
        else:
            self._idle_deaths = 0
            chunk = next(chunk for chunk in task.left if chunk.key == result.chunk)
            task.left.remove(chunk)
            if isinstance(result, ChunkReport):
                self._silences = 0
                yield result
            else:
                yield from self._retry([chunk], task, result.error)

    def _end_the_silent(self) -> Iterator[ChunkFailure]:
        limits = {
            task.actor: SILENT_SECONDS + max(chunk.n_obs for chunk in task.left) / SLOWEST
            for task in self._tasks.values()
            if task.left
        }
        for actor, limit in limits.items():
            if time.monotonic() - actor.heard > limit:
                actor.end()
                yield from self._bury(actor, CxgError(f"it said nothing for {limit:.0f} seconds"))

    def _end(self, stream: Any) -> None:
        self._tasks.pop(stream).actor.n_spans -= 1

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

    def _take_out(self, actor: Actor, error: Exception) -> str:
        """Takes a dead actor out. Returns the reason in words.

        Raises:
            LaunchError: Workers die one after the other without making anything.
        """
        self.n_deaths += 1
        self._idle_deaths += 1
        if self._idle_deaths >= MAX_IDLE_DEATHS * self.n_workers:
            raise LaunchError(
                f"{self._idle_deaths} workers died one after the other and made nothing; the last: {error}. "
                "See the logs of Ray, the memory of the machine, and that cxg_assets is installed on every node"
            )
        self._actors.remove(actor)
        reason = f"a worker died: {_first_line(error)}"
        logger.warning("%s", reason)
        return reason

    def _bury(self, actor: Actor, error: Exception) -> Iterator[ChunkFailure]:
        """Takes a dead actor out. The chunk it was making is tried again alone: it may be what killed it."""
        reason = self._take_out(actor, error)
        lost = [stream for stream, task in self._tasks.items() if task.actor is actor]
        for position, stream in enumerate(lost):
            task = self._tasks.pop(stream)
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

    def _retry(self, chunks: Sequence[Chunk], task: _Task, reason: str) -> Iterator[ChunkFailure]:
        """Queues chunks for another attempt, on another worker where there is one, or gives them up."""
        if not chunks:
            return
        if task.attempt < self._max_attempts:
            self.n_retries += len(chunks)
            logger.warning("chunk %s: attempt %d failed: %s", chunks[0].key, task.attempt, reason)
            self._waiting.append(_Waiting(Span(tuple(chunks), task.attempt + 1), not_on=task.actor))
            return
        for chunk in chunks:
            yield ChunkFailure(chunk=chunk.key, error=reason, worker="", attempt=task.attempt)

    def _no_worker(self) -> LaunchError:
        return LaunchError(
            f"Ray had no place for a worker in {NO_WORKER_SECONDS / 60:.0f} minutes: each needs "
            f"{self._cpus_per_worker:g} CPUs. See `ray status` for who has them"
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
