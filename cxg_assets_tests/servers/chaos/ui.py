"""The UI as two programs, the webserver and the daemon, over definitions that make what the command makes."""

import sys
from dataclasses import dataclass

from cxg_assets.names import h5ad_chunks_key, ingest_job_name, missing_chunks_job_name, publish_job_name
from cxg_assets_tests.servers.chaos.look import require_not_half_published
from cxg_assets_tests.servers.chaos.world import WORKERS, ChaosError, Program, World, wait_until
from cxg_assets_tests.servers.command import ALL_CELLS, SUBSET
from cxg_assets_tests.servers.webserver import Webserver, free_port

_DEFINITIONS = """\
from dataclasses import replace

from cxg_assets.cli.project import load_subset
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.code_location import complete

spec = replace(load_subset({subset!r}).spec, value_filter={value_filter!r}, chunk_size={chunk_size})
defs = complete(subset_definitions(spec, ""), workers={workers})
"""

INGEST = ingest_job_name(SUBSET)
MAKE_MISSING = missing_chunks_job_name(SUBSET)
PUBLISH = publish_job_name(SUBSET)
_INSTANCE = """
from cxg_assets.cli.project import dagster_instance

with dagster_instance():
    pass
"""
"""Makes the Dagster instance, as commands do that write."""

CHUNKS = list(h5ad_chunks_key(SUBSET).path)


@dataclass
class Ui:
    """A running UI."""

    server: Webserver
    webserver: Program
    daemon: Program

    def stop(self) -> None:
        """Ends both, as Ctrl-C does."""
        self.webserver.stop()
        self.daemon.stop()


def start_ui(world: World) -> Ui:
    """Starts both programs, and waits until the code location is loaded."""
    world.start("instance", [sys.executable, "-c", _INSTANCE]).expect(0)
    text = _DEFINITIONS.format(subset=SUBSET, value_filter=ALL_CELLS, chunk_size=world.chunk_size, workers=WORKERS)
    (world.folder / "made_by_ui.py").write_text(text)
    port = free_port()
    server = Webserver(f"http://127.0.0.1:{port}")
    command = [sys.executable, "-m", "dagster_webserver", "-f", "made_by_ui.py", "-h", "127.0.0.1", "-p", str(port)]
    webserver = world.start("webserver", command)
    daemon = start_daemon(world)
    wait_until("the code location loads", server.is_ready)
    # Step by step, as faults need it.
    server.stop_sensor("ingest_chain")
    return Ui(server, webserver, daemon)


def start_daemon(world: World) -> Program:
    """Starts the daemon alone."""
    return world.start("daemon", [sys.executable, "-m", "dagster._daemon", "run", "-f", "made_by_ui.py"])


def terminate(world: World, ui: Ui) -> None:
    """Launches a run over all chunks and terminates it when some are stored.

    Raises:
        ChaosError: It is not shown as canceled, or leaves something behind.
    """
    n_passing = world.random.randint(2, 4)
    world.hold_line(n_passing)
    run_id = ui.server.launch_job(MAKE_MISSING)
    world.wait_stored(n_passing, ui.webserver)
    ui.server.terminate(run_id)
    status = ui.server.wait_for_run(run_id)
    if status != "CANCELED":
        raise ChaosError(f"the terminated run ended with {status}")
    wait_until("its workers end", lambda: not ui.webserver.workers())
    require_not_half_published(world)


def restart_daemon(world: World, ui: Ui) -> None:
    """Launches a backfill, kills the daemon when chunks are stored, starts another, and waits for the backfill.

    Raises:
        ChaosError: It did not succeed.
    """
    n_stored, n_passing = world.puts().total(), world.random.randint(2, 5)
    world.hold_line(n_passing)
    backfill = ui.server.launch_backfill(CHUNKS)
    world.wait_stored(n_stored + n_passing, ui.daemon)
    killed = ui.daemon
    killed.kill()
    ui.daemon = start_daemon(world)
    # By itself, after 20 s without the daemon; it must not take the run along.
    wait_until("the code server begins to end", lambda: "No heartbeat received" in killed.log.read_text())
    world.store_more(5, ui.daemon)
    world.free_line()
    status = ui.server.wait_for_backfill(backfill)
    if status != "COMPLETED_SUCCESS":
        raise ChaosError(f"the backfill ended with {status}")


def publish(ui: Ui) -> None:
    """Publishes the dataset, and ends the UI."""
    ui.server.run_job(PUBLISH)
    ui.stop()
