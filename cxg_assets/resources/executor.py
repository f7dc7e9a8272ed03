"""The Ray pool of one materialization: spans go out, a result for each chunk comes back as soon as there is one."""

import contextlib
import logging
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
from dagster_ray import RayResource
from pydantic import Field

from cxg_assets.ingest.errors import BadInput, CxgError, Unreachable
from cxg_assets.ingest.plan import Chunk
from cxg_assets.ingest.report import ChunkFailure, ChunkReport
from cxg_assets.ingest.spans import Span
from cxg_assets.ingest.worker import IngestJob, Worker
from cxg_assets.resources.ray_cluster import worker_runtime_env

logger = logging.getLogger(__name__)

SPANS_IN_FLIGHT = 2
"""Spans that a worker has at once: the one it makes and the one it takes up without waiting for the driver."""

WAIT_SECONDS = 1.0
"""Ray is never waited for without a limit: Dagster's interrupt is only seen in between."""

MAX_IDLE_DEATHS = 3
"""Workers may die so often in a row without any result; then it is not a chunk's fault and the run ends."""


MAX_SILENCES = 3
"""A worker may find a store dead so often in a row; when all have, and nothing landed, the rest is not tried."""


class RayPoolExecutor(dg.ConfigurableResource):
    """Launches a pool of Ray actors for one materialization.

    Shaped after `concurrent.futures`:
    `with executor.launch(job, n_chunks, context) as pool: for result in pool.run(spans): …`
    """

    ray: dg.ResourceDependency[RayResource]
    workers: int = Field(default=0, description="Ray actors. 0: one for each CPU of the cluster.")
    max_attempts: int = Field(default=3, description="How often a chunk is tried before it counts as failed.")

    @contextlib.contextmanager
    def launch(
        self, job: IngestJob, n_chunks: int, context: dg.OpExecutionContext | dg.AssetExecutionContext
    ) -> "Iterator[Pool]":
        """Connects to Ray, if nobody did, and yields a pool whose actors are ready; they are gone afterwards.

        Args:
            job: What every worker needs to know; its `n_threads` is set here, to a worker's share of the CPUs.
            n_chunks: Chunks to make; there are never more actors than that.
            context: The step's.

        Raises:
            BadInput: The number of workers is negative.
        """
        import ray

        if self.workers < 0:
            raise BadInput(f"workers: {self.workers} is not a positive whole number")
        joined = not ray.is_initialized()
        if joined:
            self.ray.connect(context)
        try:
            n_cpus = int(ray.cluster_resources().get("CPU", 1))
            n_workers = min(self.workers or max(n_cpus, 1), n_chunks)
            job = replace(job, n_threads=max(n_cpus // n_workers, 1))
            # Ray counts CPUs in 1/10,000; rounded up, the last actor would wait for ever.
            cpus_per_worker = min(1.0, math.floor(10_000 * n_cpus / n_workers) / 10_000)
            pool = Pool(job, n_workers, cpus_per_worker, self.max_attempts)
            try:
                pool.start()
                yield pool
            finally:
                pool.close()
        finally:
            if joined:
                ray.shutdown()


@dataclass(eq=False)
class _Task:
    """A span that an actor works on; `left` are the chunks it has not told of."""

    actor: Any
    attempt: int
    left: list[Chunk]


class Pool:
    """Actors that share the chunks of a run, and are replaced when they die."""

    def __init__(self, job: IngestJob, n_workers: int, cpus_per_worker: float, max_attempts: int) -> None:
        self.n_workers = n_workers
        self.n_retries = 0
        self.n_deaths = 0
        self._job = job
        self._cpus_per_worker = cpus_per_worker
        self._runtime_env = worker_runtime_env()
        self._max_attempts = max_attempts
        self._actors: list[Any] = []
        self._tasks: dict[Any, _Task] = {}
        self._idle_deaths = 0
        self._silences = 0

    def start(self) -> None:
        """Starts the actors side by side, and waits until each has opened the Census or has failed to.

        What keeps an actor from opening it comes out of `run`, with the chunks that it concerns.
        """
        import ray

        waiting = [self._start_actor().open.remote() for _ in range(self.n_workers)]
        while waiting:
            _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=WAIT_SECONDS)

    def run(self, spans: Sequence[Span]) -> Iterator[ChunkReport | ChunkFailure]:
        """Makes the chunks of the spans.

        Args:
            spans: In the order in which they should be made.

        Raises:
            CxgError: Workers die one after the other without making anything.

        Yields:
            One result for each chunk, as it comes. A failure is only yielded after `max_attempts`.
        """
        queue = deque(spans)
        while queue or self._tasks:
            self._dispatch(queue)
            for stream in self._ready():
                yield from self._next_result(stream, queue)

    def close(self) -> None:
        """Ends the actors; what they were making is lost."""
        import ray

        for actor in self._actors:
            ray.kill(actor)
        self._actors.clear()
        self._tasks.clear()

    def _dispatch(self, queue: deque[Span]) -> None:
        """Gives spans to the actors that have the fewest, at most `SPANS_IN_FLIGHT` to each."""
        while queue:
            load = {id(actor): 0 for actor in self._actors}
            for task in self._tasks.values():
                load[id(task.actor)] += 1
            actor = min(self._actors, key=lambda actor: load[id(actor)], default=None)
            if (actor is None or load[id(actor)] > 0) and len(self._actors) < self.n_workers:
                actor = self._start_actor()
            elif actor is None or load[id(actor)] >= SPANS_IN_FLIGHT:
                return
            span = queue.popleft()
            stream = actor.run.options(num_returns="streaming").remote(span)
            self._tasks[stream] = _Task(actor, span.attempt, list(span.chunks))

    def _start_actor(self) -> Any:
        import ray

        options = {"num_cpus": self._cpus_per_worker, "max_restarts": 0, "runtime_env": self._runtime_env}
        actor = ray.remote(**options)(Worker).remote(self._job)
        self._actors.append(actor)
        return actor

    def _ready(self) -> list[Any]:
        import ray

        # Not inside a try: an interrupt can surface here as a SystemError out of Ray's C code.
        ready, _ = ray.wait(list(self._tasks), num_returns=1, timeout=WAIT_SECONDS, fetch_local=False)
        return ready

    def _next_result(self, stream: Any, queue: deque[Span]) -> Iterator[ChunkReport | ChunkFailure]:
        import ray
        from ray.exceptions import RayActorError, RayTaskError

        task = self._tasks.get(stream)
        if task is None:
            return
        try:
            result: Any = ray.get(next(stream))
        except StopIteration:
            del self._tasks[stream]
        except RayActorError as error:
            yield from self._bury(task.actor, error, queue)
        except RayTaskError as error:
            del self._tasks[stream]
            yield from self._retry(task.left, task.attempt, f"{error.cause}", queue)
            if isinstance(error.cause, Unreachable):
                self._silences += 1
                if self._silences >= MAX_SILENCES * self.n_workers:
                    yield from self._give_up(f"not tried any more: {error.cause}", queue)
        else:
            self._idle_deaths = 0
            chunk = next(chunk for chunk in task.left if chunk.key == result.chunk)
            task.left.remove(chunk)
            if isinstance(result, ChunkReport):
                self._silences = 0
                yield result
            else:
                yield from self._retry([chunk], task.attempt, result.error, queue)

    def _bury(self, actor: Any, error: Exception, queue: deque[Span]) -> Iterator[ChunkFailure]:
        """Takes a dead actor out. The chunk it was making is tried again alone: it may be what killed it."""
        self.n_deaths += 1
        self._idle_deaths += 1
        reason = f"a worker died: {str(error).strip().splitlines()[0]}"
        if self._idle_deaths >= MAX_IDLE_DEATHS * self.n_workers:
            raise CxgError(
                f"{self._idle_deaths} workers died one after the other and made nothing; the last: {error}. "
                "See the logs of Ray, the memory of the machine, and that cxg_assets is installed on every node"
            )
        logger.warning("%s", reason)
        self._actors = [other for other in self._actors if other is not actor]
        lost = [stream for stream, task in self._tasks.items() if task.actor is actor]
        for position, stream in enumerate(lost):
            task = self._tasks.pop(stream)
            suspects, others = (task.left[:1], task.left[1:]) if position == 0 else ([], task.left)
            if others:
                queue.appendleft(Span(tuple(others), task.attempt))
            yield from self._retry(suspects, task.attempt, reason, queue)

    def _give_up(self, reason: str, queue: deque[Span]) -> Iterator[ChunkFailure]:
        """Fails all that waits: the Census or the destination is gone, and each chunk would take minutes to say so."""
        while queue:
            span = queue.popleft()
            for chunk in span.chunks:
                yield ChunkFailure(chunk=chunk.key, error=reason, worker="", attempt=span.attempt)

    def _retry(self, chunks: Sequence[Chunk], attempt: int, reason: str, queue: deque[Span]) -> Iterator[ChunkFailure]:
        """Queues chunks for another attempt, or gives them up."""
        if not chunks:
            return
        if attempt < self._max_attempts:
            self.n_retries += len(chunks)
            logger.warning("chunk %s: attempt %d failed: %s", chunks[0].key, attempt, reason)
            queue.append(Span(tuple(chunks), attempt + 1))
            return
        for chunk in chunks:
            yield ChunkFailure(chunk=chunk.key, error=reason, worker="", attempt=attempt)
