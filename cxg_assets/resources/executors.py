"""Which pool a materialization is given."""

import contextlib
from collections.abc import Callable, Iterator

from cxg_assets import settings
from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.resources import POOLS
from cxg_assets.resources.executor import LocalPoolExecutor, PoolExecutor


def build_executor(pool: str = "", workers: int = 0) -> PoolExecutor:
    """The executor that launches pools of one kind.

    Args:
        pool: One of `POOLS`; empty goes by `CXG_POOL`, and is Ray without it.
        workers: Worker processes; 0 goes by `CXG_WORKERS`, and is one for each CPU without it.

    Raises:
        BadInput: There is no such pool, `CXG_WORKER_SILENCE` or `CXG_WORKERS` is no number, or KubeRay's lack
            something.
    """
    settings.worker_silence()
    workers = workers or settings.workers()
    chosen = chosen_pool(pool)
    if chosen == "local":
        return LocalPoolExecutor(workers=workers)
    if chosen == "ray":
        # Here: to import dagster_ray is to import Ray, half a second for a process that may need neither.
        from cxg_assets.resources.ray_cluster import RunRay
        from cxg_assets.resources.ray_executor import RayPoolExecutor

        if is_kuberay():
            from cxg_assets.resources.cluster.kuberay import kuberay_of_settings

            return RayPoolExecutor(ray=kuberay_of_settings(), workers=workers)
        return RayPoolExecutor(ray=RunRay(), workers=workers)
    raise BadInput(f"pool: {chosen!r} is unknown (CXG_POOL); choose one of {', '.join(POOLS)}")


def require_pool(pool: str = "") -> None:
    """Makes sure, before any work, that what a pool begins with is there: the cluster, where Ray joins one.

    Args:
        pool: As in `build_executor`.

    Raises:
        BadInput: No Ray answers at `RAY_ADDRESS`.
    """
    if chosen_pool(pool) == "ray" and not is_kuberay():
        from cxg_assets.resources.cluster.runtime_env import asked_runtime_env
        from cxg_assets.resources.ray_address import require_cluster

        if require_cluster() is not None:
            asked_runtime_env()


@contextlib.contextmanager
def started_ahead(pool: str = "") -> Iterator[Callable[[], None]]:
    """What takes a pool seconds to start does so beside what comes before the chunks: Ray, or a first process.

    Runs inside the block share that Ray.

    Args:
        pool: As in `build_executor`.

    Yields:
        What is called when no more chunks will be made: Ray ends beside what is left to do.
    """
    if chosen_pool(pool) == "ray" and is_kuberay():
        yield lambda: None  # it is made for the step that needs it
    elif chosen_pool(pool) == "ray":
        from cxg_assets.resources.ray_cluster import one_ray_for_several_runs

        with one_ray_for_several_runs() as leave:
            yield leave
    else:
        from cxg_assets.resources.local_workers import spare_worker

        with spare_worker():
            yield lambda: None


def is_kuberay() -> bool:
    """Whether Ray is a cluster that each run asks Kubernetes for.

    Raises:
        BadInput: `CXG_RAY` says something else.
    """
    asked = settings.Variables().ray
    if asked not in ("", "kuberay"):
        raise BadInput(f"CXG_RAY: {shown(asked)} is unknown; it is kuberay, or not set")
    return asked == "kuberay"


def chosen_pool(pool: str = "") -> str:
    """The pool that is asked for: here, by `CXG_POOL`, or Ray."""
    return pool or settings.Variables().pool or "ray"
