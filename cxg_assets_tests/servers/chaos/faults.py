"""The faults: each begins to make a dataset, breaks something on the way, and brings it to its end all the same."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets_tests.servers.chaos.kill import give_no_more_memory, kill_ray, kill_worker, next_worker
from cxg_assets_tests.servers.chaos.look import require_not_half_published, wait_for_processes
from cxg_assets_tests.servers.chaos.ui import INGEST, MAKE_MISSING, Ui, publish, restart_daemon, start_ui, terminate
from cxg_assets_tests.servers.chaos.undisturbed import make_undisturbed
from cxg_assets_tests.servers.chaos.world import ChaosError, Program, World, wait_until
from cxg_assets_tests.servers.faults import Faults
from cxg_assets_tests.servers.strict_s3 import BUCKET
from cxg_assets_tests.servers.webserver import free_port

OUTAGE_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        name: For the table and the command line.
        inject: Makes the dataset with the fault on the way. Returns the prefix of an undisturbed dataset to compare
            with, where it is not the one that was begun: another plan, or another Census.
    """

    name: str
    inject: Callable[[World], str | None]


def undisturbed(world: World) -> None:
    """Nothing is broken."""
    world.ingest().expect(0)


def worker_killed(world: World) -> None:
    """SIGKILL to an actor in the middle of a span."""
    program = _begun(world)
    kill_worker(program, [])
    world.free_line()
    program.expect(0)


def workers_killed_in_turn(world: World) -> None:
    """SIGKILL to four actors, one after the other: the first two, and those that replaced them."""
    program = _begun(world)
    killed: list[int] = []
    for _ in range(4):
        world.store_more(2, program)
        killed.append(kill_worker(program, killed))
    world.free_line()
    program.expect(0)


def run_killed(world: World) -> None:
    """SIGKILL to the process of the run; then the command again."""
    program = _begun(world)
    program.kill()
    wait_for_processes(world)
    require_not_half_published(world)
    world.free_line()
    world.ingest().expect(0)


def destination_away(world: World) -> None:
    """The destination cuts all connections and takes no new ones for a while."""
    program = _begun(world)
    world.proxy.begin_outage(OUTAGE_SECONDS)
    world.free_line()
    program.expect(0)


def chunk_fails(world: World) -> None:
    """One chunk is refused whenever it is stored; when that is over, the command again."""
    world.proxy.set(Faults(rates={"denied": 1.0}, methods=("PUT",), path="/00003-"))
    program = world.ingest()
    program.expect(1)
    if "00003" not in program.said or "1 failed" not in program.said:
        raise ChaosError(f"the failed chunk is not named: {program.said}")
    require_not_half_published(world)
    n_stored = world.puts().total()
    world.proxy.set(Faults())
    world.ingest().expect(0)
    if world.puts().total() != n_stored + 1:
        raise ChaosError(f"{world.puts().total() - n_stored} chunks were made for the one that was missing")


def worker_out_of_memory(world: World) -> None:
    """One actor gets no more memory than it has."""
    program = _begun(world)
    give_no_more_memory(next_worker(program, []))
    world.free_line()
    program.expect(0)


def one_after_the_other(world: World) -> None:
    """In one run an actor is killed, then the destination goes away, and then an actor gets no more memory."""
    program = _begun(world)
    killed = kill_worker(program, [])
    world.proxy.begin_outage(OUTAGE_SECONDS)
    world.store_more(2, program)
    give_no_more_memory(next_worker(program, [killed]))
    world.free_line()
    program.expect(0)


def two_runs(world: World) -> None:
    """Two machines begin the same plan at once."""
    world.hold_line()
    other = world.folder / "other-home"
    programs = [
        world.ingest(name="first"),
        world.ingest(name="second", CXG_HOME=str(other), DAGSTER_HOME=str(other / "dagster")),
    ]
    wait_until("both have workers", lambda: all(program.workers() for program in programs))
    world.free_line()
    for program in programs:
        program.expect(0)


def new_plan(world: World) -> str:
    """While a plan is made, another takes its place: the first run ends, the second publishes."""
    program = _begun(world)
    [folder] = {path.rpartition("/")[0] for path in world.puts()}
    world.hold_line(path=folder)
    chunk_size = world.chunk_size * 3 // 2
    world.ingest("-c", str(chunk_size), name="another-plan").expect(0)
    world.free_line()
    program.expect(1)
    if "was made while the chunks of plan" not in program.said:
        raise ChaosError(f"the first run does not say that its plan is not the current one any more: {program.said}")
    return _undisturbed(world, chunk_size)


def census_replaced(world: World) -> str:
    """Another build, made earlier, is moved to the Census's place; then the command again."""
    own, other = world.folder / "census", world.folder / "another-build"
    for path, source in ((own, world.census), (other, world.census.with_name(f"{world.census.name}-another"))):
        shutil.copytree(source, path, copy_function=os.link)
    world.census = own
    program = _begun(world)
    own.rename(world.folder / "replaced")
    other.rename(own)
    world.free_line()
    program.expect(1)
    if "the Census was replaced" not in program.said:
        raise ChaosError(f"the cause is not named: {program.said}")
    require_not_half_published(world)
    world.ingest().expect(0)
    return _undisturbed(world, world.chunk_size)


def node_killed(world: World) -> None:
    """Ray runs on two nodes, joined over loopback; all of one is killed."""
    port = free_port()
    local = {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": "/tmp"}
    nodes = [
        world.start(name, [sys.executable, str(_LOOPBACK_RAY), "start", *arguments], **local)
        for name, arguments in (
            ("head", ["--head", "--port", str(port), "--include-dashboard", "false", *_OF_A_NODE]),
            ("node", ["--address", f"127.0.0.1:{port}", *_OF_A_NODE]),
        )
    ]
    joined = {**local, "RAY_ADDRESS": f"127.0.0.1:{port}", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    wait_until("both nodes are up", lambda: all("will now block forever" in node.said for node in nodes))
    program = _begun(world, **joined)
    wait_until("the second node has a worker", nodes[1].workers)
    for pid in nodes[1].sampler.living():
        os.kill(pid, signal.SIGKILL)
    world.free_line()
    program.expect(0)
    nodes[0].stop()


def ray_killed(world: World) -> None:
    """SIGKILL to Ray itself: the launch has died, and Dagster begins the step again."""
    program = _begun(world)
    kill_ray(world, program)
    program.expect(0)


def run_then_ray_killed(world: World) -> None:
    """A run is killed; while the next makes what is missing, Ray itself is."""
    program = _begun(world)
    program.kill()
    wait_for_processes(world)
    require_not_half_published(world)
    following = _begun(world)
    kill_ray(world, following)
    following.expect(0)


def disk_full(world: World) -> None:
    """A worker dies, and the one in its place finds no room for its files. Needs root, to mount a small disk."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(world.scratch)], check=True)
    try:
        program = _begun(world)
        with (world.scratch / "filled").open("wb") as filled, contextlib.suppress(OSError):
            while True:
                filled.write(bytes(2**16))
        kill_worker(program, [])
        world.free_line()
        program.expect(0)
    finally:
        subprocess.run(["umount", str(world.scratch)], check=True)


def terminated_in_ui(world: World) -> None:
    """A run is terminated in the UI; then the same job again."""
    ui = _prepared_ui(world)
    terminate(world, ui)
    world.free_line()
    ui.server.run_job(MAKE_MISSING)
    publish(ui)


def daemon_restarted(world: World) -> None:
    """The daemon is killed while a backfill that it has launched is under way, and started again."""
    ui = _prepared_ui(world)
    restart_daemon(world, ui)
    publish(ui)


def terminated_and_daemon_restarted(world: World) -> None:
    """Both in one UI: a run is terminated, and the daemon is restarted in the backfill that makes the rest."""
    ui = _prepared_ui(world)
    terminate(world, ui)
    restart_daemon(world, ui)
    publish(ui)


_LOOPBACK_RAY = Path(__file__).with_name("loopback_ray.py")
_OF_A_NODE = ("--node-ip-address", "127.0.0.1", "--num-cpus", "1", "--block")

FAULTS = (
    Fault(name="worker-killed", inject=worker_killed),
    Fault(name="workers-killed-in-turn", inject=workers_killed_in_turn),
    Fault(name="run-killed", inject=run_killed),
    Fault(name="destination-away", inject=destination_away),
    Fault(name="chunk-fails", inject=chunk_fails),
    Fault(name="worker-out-of-memory", inject=worker_out_of_memory),
    Fault(name="two-runs", inject=two_runs),
    Fault(name="new-plan", inject=new_plan),
    Fault(name="census-replaced", inject=census_replaced),
    Fault(name="node-killed", inject=node_killed),
    Fault(name="ray-killed", inject=ray_killed),
    Fault(name="disk-full", inject=disk_full),
    Fault(name="terminated-in-ui", inject=terminated_in_ui),
    Fault(name="daemon-restarted", inject=daemon_restarted),
)


def _undisturbed(world: World, chunk_size: int) -> str:
    """Makes the dataset that there should be, beside the one that there is. Returns its prefix in the bucket."""
    prefix = "undisturbed"
    locator = StoreLocator(url=f"s3://{BUCKET}/{prefix}", s3=world.server.settings())
    make_undisturbed(world.census, chunk_size, locator)
    return prefix


def _begun(world: World, **environment: str) -> Program:
    """The command when some chunks are stored; its workers stand still until `World.free_line`."""
    n_passing = world.random.randint(2, 5)
    n_stored = world.puts().total()
    world.hold_line(n_passing)
    program = world.ingest(**environment)
    world.wait_stored(n_stored + n_passing, program)
    return program


def _prepared_ui(world: World) -> Ui:
    """The UI when the plan is made."""
    ui = start_ui(world)
    ui.server.run_job(INGEST)
    return ui
