"""Workers as Ray actors."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cxg_assets.ingest.chunks.worker import IngestJob, Worker
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.resources.cluster.versions import CURE, Installed, differences, looking
from cxg_assets.resources.ray_cluster import worker_runtime_env
from cxg_assets.resources.workers import Died, Event, LaunchError, Opened, PoolWorker, SpanEnded, Told, first_line


@dataclass(eq=False, kw_only=True)
class Actor(PoolWorker):
    """A worker.

    Attributes:
        handle: Ray's.
        opening: Ray's reference to what tells that it is open.
        installed: Ray's reference to what is installed where it is; None on the Ray of a run's own.
    """

    handle: Any
    opening: Any
    installed: Any = None

    def end(self) -> None:
        """Ends its process; what it was making is lost."""
        import ray

        ray.kill(self.handle)


class RayWorkers:
    """The actors of one pool; see `workers.Workers`."""

    actor_class: type[Worker] = Worker

    advice = "See the logs of Ray, the memory of the machine, and that cxg_assets is installed on every node"

    def __init__(self, job: IngestJob, cpus_per_worker: float) -> None:
        """Starts nothing yet. Workers that share a CPU have less than one each."""
        self._job = job
        self._cpus_per_worker = cpus_per_worker
        self._opening: dict[Any, Actor] = {}
        self._streams: dict[Any, tuple[Actor, int]] = {}
        self.no_place = (
            f"Ray could not schedule a worker; each needs {cpus_per_worker:g} CPUs. `ray status` shows what is in use"
        )

    def start(self) -> PoolWorker:
        """Starts an actor where Ray has a place for it."""
        import ray

        self._require_driver()
        environment = worker_runtime_env()
        options = {"num_cpus": self._cpus_per_worker, "max_restarts": 0, "runtime_env": environment}
        handle: Any = ray.remote(**options)(self.actor_class).remote(self._job)
        # Of a cluster's node: it may have come after all nodes were looked at.
        installed = handle.__ray_call__.remote(_looked_at()) if environment else None
        actor = Actor(handle=handle, opening=handle.open.remote(), installed=installed)
        self._opening[actor.opening] = actor
        return actor

    def give(self, worker: PoolWorker, ticket: int, span: Span) -> None:
        """Gives an actor a span."""
        assert isinstance(worker, Actor)
        stream = worker.handle.run.options(num_returns="streaming").remote(span)
        self._streams[stream] = worker, ticket

    def wait(self, seconds: float) -> list[Event]:
        """What actors have to tell."""
        import ray
        from ray.exceptions import RayError

        refs = [*self._streams, *self._opening]
        try:
            ready = ray.wait(refs, num_returns=1, timeout=seconds, fetch_local=False)[0]
        except (RayError, ConnectionError) as error:
            raise LaunchError(f"Ray does not answer any more: {first_line(error)}") from error
        return [event for ref in ready for event in self._heard(ref)]

    def end(self, worker: PoolWorker) -> None:
        """Ends an actor."""
        assert isinstance(worker, Actor)
        self._forget(worker)
        worker.end()

    def _heard(self, ref: Any) -> Iterator[Event]:
        import ray
        from ray.exceptions import RayError, RayTaskError

        if ref in self._opening:
            actor = self._opening.pop(ref)
            try:
                said = "" if actor.installed is None else differences(ray.get(actor.installed), self._ours)
                with contextlib.suppress(RayTaskError):  # its first span tells
                    ray.get(ref)
            except RayError as error:
                self._forget(actor)
                yield Died(actor, error)
                return
            if said:
                self.end(actor)
                yield Died(actor, CxgError(f"its node {said}: {CURE}"))
                return
            yield Opened(actor)
            return
        yield from self._heard_of_span(ref)

    def _heard_of_span(self, ref: Any) -> Iterator[Event]:
        import ray
        from ray.exceptions import RayError, RayTaskError

        actor, ticket = self._streams[ref]
        try:
            result: Any = ray.get(next(ref))
        except StopIteration:
            del self._streams[ref]
            yield SpanEnded(ticket)
        except RayTaskError as error:
            del self._streams[ref]
            yield SpanEnded(ticket, error.cause)
        except RayError as error:
            # The actor died, its node did, or Ray ended it for want of memory.
            self._forget(actor)
            yield Died(actor, error)
        else:
            yield Told(ticket, result)

    @cached_property
    def _ours(self) -> Installed:
        return looking()()

    def _require_driver(self) -> None:
        """Makes sure that Ray still runs on the driver's machine.

        Raises:
            LaunchError: It does not.
        """
        _require_living_node()

    def _forget(self, actor: Actor) -> None:
        self._opening = {ref: other for ref, other in self._opening.items() if other is not actor}
        self._streams = {ref: given for ref, given in self._streams.items() if given[0] is not actor}


def _looked_at() -> Any:
    """What an actor is asked to tell what is installed where it is."""
    look = looking()
    return lambda _worker: look()


def _require_living_node() -> None:
    """Makes sure that Ray still runs on the driver's machine: otherwise it ends this process at the next actor.

    Raises:
        LaunchError: It does not.
    """
    import ray

    own = ray.get_runtime_context().get_node_id()
    if not any(node["NodeID"] == own and node["Alive"] for node in ray.nodes()):
        raise LaunchError("Ray has died on this machine. See its logs, and the memory of the machine")
