"""The Ray that a run uses when none is configured: its own on this machine, or the cluster RAY_ADDRESS names."""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from dagster_ray import Lifecycle
from dagster_ray.core.resources import LocalRay
from pydantic import Field

from cxg_assets.ingest.chunks.worker import import_ahead
from cxg_assets.ingest.chunks.worker_environment import WORKER_ENVIRONMENT
from cxg_assets.ingest.errors import BadInput
from cxg_assets.resources.cluster.runtime_env import asked_runtime_env
from cxg_assets.resources.ray_address import require_cluster
from cxg_assets.resources.ray_folder import folder_for_ray

if TYPE_CHECKING:
    from ray._private.worker import BaseContext

READY_NODE = "cxg_worker_environment"
"""Custom resource of a Ray node whose processes were started with `WORKER_ENVIRONMENT`."""

_SILENT = {"log_to_driver": False, "configure_logging": False}
"""What Ray and its workers write has no place between a command's own lines; it is in Ray's logs."""

OWN_RAY_OPTIONS: dict[str, Any] = {
    # Without it Ray would join a cluster that somebody started on this machine, and refuse these options.
    "address": "local",
    "include_dashboard": False,
    **_SILENT,
    # Reports are small and cells never pass through Ray's object store; this is near the least that Ray takes.
    "object_store_memory": 100 * 2**20,
    "_node_ip_address": "127.0.0.1",
}
"""How a Ray is started that serves one run on one machine; `start_own_ray` sees that it listens there alone."""

_ONE_MACHINE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's switch for systems where it supports no clusters. With it Ray keeps to 127.0.0.1; without, it takes that
address for the machine's outward one, and all its processes listen on every interface (seen with Ray 2.60)."""

_NOTES = {
    "ray": logging.WARNING,
    "ray._private.authentication.authentication_token_setup": logging.ERROR,
    "ray._private.worker": logging.ERROR,  # in another than the main thread it has no answer to SIGTERM, and says so
}
"""Ray's loggers, and from which level on they tell of something that a user can do something about."""

N_IMPORT_AHEAD = 4
"""Processes that import ahead. A small subset has no more chunks; of a large one nobody notices the seconds."""

_held: "HeldRay | None" = None
"""What the runs of this process share."""

_folder = contextlib.ExitStack()
"""Holds the folder of the Ray that was started, if it has one of its own. A process has one Ray at most."""


class RunRay(LocalRay):
    """A Ray that the run starts and stops, or an existing cluster that it joins and leaves."""

    address: str = Field(
        default="", description="Address of an existing cluster. Empty: RAY_ADDRESS, else a Ray of the run's own."
    )
    lifecycle: Lifecycle = Lifecycle(create=False)

    def connect(self, context: dg.OpExecutionContext | dg.AssetExecutionContext) -> "BaseContext":
        """Starts or joins Ray."""
        self._context = _start_or_join(self.address, self.ray_init_options)
        return cast("BaseContext", self._context)

    def leave(self, context: dg.OpExecutionContext | dg.AssetExecutionContext) -> None:
        """Ends Ray, or leaves the cluster."""
        leave_ray()


class HeldRay:
    """A Ray that several runs share. It is started or joined, and left, beside what else the process does."""

    def __init__(self) -> None:
        """Begins to start or join it."""
        # Imported here: two threads that import the same modules at once can get in each other's way.
        import ray  # noqa: F401

        self._started: Future[BaseContext] = Future()
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._hold, name="ray", daemon=True)
        self._thread.start()

    def wait(self) -> "BaseContext":
        """Waits until it runs, or raises what kept it from starting."""
        return self._started.result()

    def leave(self) -> None:
        """Ends or leaves it soon; does not wait for that."""
        self._unwanted.set()

    def close(self) -> None:
        """Ends or leaves it, and waits for that."""
        self.leave()
        self._thread.join()

    def _hold(self) -> None:
        """All of it is in one thread: the kernel ends Ray's processes with the thread that has started them."""
        try:
            self._started.set_result(_start_or_join("", {}))
        except BaseException as error:  # noqa: BLE001 - told to those who wait
            self._started.set_exception(error)
            return
        _importing = _import_ahead()  # held: Ray drops work of which nobody holds the reference
        self._unwanted.wait()
        leave_ray()


@contextlib.contextmanager
def one_ray_for_several_runs() -> Iterator[Callable[[], None]]:
    """Runs inside the block share a Ray, where each would start its own: it starts beside what they begin with.

    A Ray that runs already is used and left as it is.

    Yields:
        What lets it go before the end of the block, and waits for nothing.
    """
    global _held
    import ray

    if _held is not None or ray.is_initialized():
        yield lambda: None
        return
    _held = held = HeldRay()
    try:
        yield held.leave
    finally:
        _held = None
        held.close()


def wait_for_held_ray() -> "BaseContext | None":
    """Waits until the Ray that runs of this process share has started, if there is one, or raises what kept it."""
    return None if _held is None else _held.wait()


def end_held_ray() -> None:
    """Ends the Ray that runs of this process share, if there is one; the next run has a Ray of its own."""
    if _held is not None:
        _held.close()


def worker_runtime_env() -> dict[str, Any]:
    """The `runtime_env` that gives an actor `WORKER_ENVIRONMENT`; empty where every node has it already.

    Only Ray's own processes can inherit it for nothing: with a runtime_env an actor waits for a new process, 1.5 s.
    """
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]
    if all(READY_NODE in node["Resources"] for node in nodes):
        return {}
    return {"env_vars": WORKER_ENVIRONMENT}


def _import_ahead() -> list[Any]:
    """Lets processes that a first pool will take import what every worker needs: 3 s of CPU each.

    Only where nodes have `WORKER_ENVIRONMENT`; elsewhere a pool takes processes of its own.

    Returns:
        Ray's references to that work.
    """
    import ray

    with contextlib.suppress(Exception):  # the pool meets it again
        if not worker_runtime_env():
            n_processes = min(N_IMPORT_AHEAD, int(ray.cluster_resources().get("CPU", 0)))
            return [ray.remote(num_cpus=1)(import_ahead).remote() for _ in range(n_processes)]
    return []


def dashboard_url(context: "BaseContext | None") -> str | None:
    """URL of the dashboard of the Ray that `ray.init` joined; None if it has none."""
    address = getattr(context, "dashboard_url", None)
    if not address:
        return None
    return address if "://" in address else f"http://{address}"


def _start_or_join(address: str, options: dict[str, Any]) -> Any:
    cluster = require_cluster(address)
    return start_own_ray(options) if cluster is None else join(cluster, options)


def join(cluster: str, options: dict[str, Any]) -> Any:
    """Joins a cluster at `host:port` or `ray://host:port`, with what `CXG_RAY_RUNTIME_ENV` says to bring along.

    Raises:
        BadInput: It has another Ray or Python, or what is to be brought along is not there.
    """
    import ray

    brought = asked_runtime_env()
    options = {"address": cluster, **_SILENT, **({"runtime_env": brought} if brought else {}), **options}
    if cluster.startswith("ray://"):
        del options["configure_logging"]  # Ray's client has no such option, and configures none
    try:
        with _as_part_of_this_process():
            return ray.init(**options)
    except RuntimeError as error:
        # Ray's own comparison.
        if not str(error).startswith("Version mismatch"):
            raise
        raise BadInput(f"{cluster}: {' '.join(str(error).split())}; install the same on both sides") from error


def is_client() -> bool:
    """Whether this process is no node of the cluster that it has joined, and speaks to it by Ray's client."""
    from ray.util.client import ray

    return bool(ray.is_connected())


def leave_ray() -> None:
    """Ends the Ray that was started, or leaves the one that was joined."""
    import ray

    ray.shutdown()
    _folder.close()


def start_own_ray(options: dict[str, Any]) -> Any:
    """Starts a Ray on this machine that nobody else can reach, and joins it.

    Args:
        options: For `ray.init`, besides `OWN_RAY_OPTIONS`.

    Raises:
        BadInput: No folder has a path that is short enough for Ray's sockets.
    """
    import ray
    from ray._private import ray_constants

    environment = {**WORKER_ENVIRONMENT, **_ONE_MACHINE}
    added = {name: value for name, value in environment.items() if name not in os.environ}
    os.environ.update(added)
    # Ray has read the switch when it was imported, which may be long ago.
    allows_clusters, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        folder = _folder.enter_context(folder_for_ray())
        where = {} if folder is None else {"_temp_dir": str(folder)}
        with _as_part_of_this_process():
            return ray.init(**{**OWN_RAY_OPTIONS, **where, "resources": {READY_NODE: 1}, **options})
    except BaseException:
        _folder.close()
        raise
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = allows_clusters
        for name in added:
            del os.environ[name]


@contextlib.contextmanager
def _as_part_of_this_process() -> Iterator[None]:
    """Lets Ray begin without what it says at every start, and without its own answer to SIGTERM.

    That ends a program by `SystemExit: 15`, also where somebody, like Dagster in a run, sees to an orderly end.
    """
    levels = {name: logging.getLogger(name).level for name in _NOTES}
    for name, level in _NOTES.items():
        logging.getLogger(name).setLevel(level)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if callable(on_sigterm) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)
