"""`cxg-assets ui`: the Dagster UI on this project's instance."""

import contextlib
import errno
import os
import socket
import sys
import time
from pathlib import Path

from dagster import DagsterInstance

from cxg_assets import settings
from cxg_assets.cli.project import dagster_instance
from cxg_assets.cli.ui.processes import daemons_of, listening_on
from cxg_assets.cli.ui.supervision import run_until_asked
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.instance.dead_runs import report_killed_runs
from cxg_assets.instance.serving import serving
from cxg_assets.names import CENSUS_POOL

WORKSPACE = Path(__file__).parents[1] / "workspace.yaml"
"""Of the package: a checkout and each project have one of their own, which Dagster's commands find there."""

LOCATION_VARIABLE = "_CXG_CODE_LOCATION"
"""Tells the workspace the name of the project's code location."""

OTHER_COMMAND = "Function `dev_command` is superseded"
"""So begins what `dagster dev` says of itself: `dg dev` is another package's."""

HEARTBEAT_SECONDS = 45
"""A daemon that was heard of this long ago has ended: Dagster's write every 30 seconds that they live."""


def serve_ui(port: int) -> None:
    """Serves the UI with its daemon on a port of 127.0.0.1 until this process is asked to end.

    Raises:
        BadInput: The port is taken, or another UI or daemon works on the instance.
        CxgError: The UI ended by itself.
    """
    home = settings.dagster_home()
    with contextlib.ExitStack() as alone:
        with dagster_instance() as instance:
            alone.enter_context(serving(home, port))
            _refuse_taken(port)
            _refuse_daemon(home, instance)
            report_killed_runs(instance)
            _make_pool_known(instance)
        exit_code = run_until_asked(_command(port), _environment())
        with dagster_instance() as instance:
            # Runs that had no time to end were killed. The daemon has ended: the next UI need not wait for its silence.
            report_killed_runs(instance)
            instance.wipe_daemon_heartbeats()
    if exit_code is not None:
        raise CxgError(f"the UI ended with exit code {exit_code}; its last lines above say why")


def _command(port: int) -> list[str]:
    return [sys.executable, "-m", "dagster", "dev", "-w", str(WORKSPACE), "-h", "127.0.0.1", "-p", str(port)]


def _environment() -> dict[str, str]:
    environment = os.environ | {"DAGSTER_HOME": str(settings.dagster_home()), "CXG_HOME": str(settings.home())}
    environment[LOCATION_VARIABLE] = settings.code_location()
    environment.setdefault("PYTHONWARNINGS", f"ignore:{OTHER_COMMAND}")
    return environment


def _refuse_taken(port: int) -> None:
    """Raises BadInput where nobody can listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the webserver does: not what has just closed
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise BadInput(f"port {port} cannot be used: {error.strerror}; choose another with -p") from error
            holder = listening_on(port) or "another program"
            raise BadInput(
                f"port {port} is taken by {holder}: choose another with -p, or end that first. If you want the UI, "
                f"open http://127.0.0.1:{port}"
            ) from error


def _refuse_daemon(home: Path, instance: DagsterInstance) -> None:
    """Raises BadInput where a daemon of Dagster's runs on the instance: two would launch what is scheduled twice."""
    wherefore = f"on the Dagster instance in {home}, and two would launch the same runs"
    for daemon in daemons_of(home):
        raise BadInput(
            f"a Dagster daemon runs {wherefore}: {daemon}. Use the UI that it belongs to, or end it first: "
            f"kill {daemon.pid}"
        )
    heard = max((beat.timestamp for beat in instance.get_daemon_heartbeats().values()), default=0.0)
    silent = time.time() - heard
    if silent < HEARTBEAT_SECONDS:
        raise BadInput(
            f"a Dagster daemon was running {wherefore}: its last heartbeat was {silent:.0f} seconds ago, and its "
            f"process is not visible here. End it where it runs; if it has ended, try again in "
            f"{HEARTBEAT_SECONDS - silent:.0f} seconds"
        )


def _make_pool_known(instance: DagsterInstance) -> None:
    """Sees that the pool's limit holds from the first run on.

    Left alone, Dagster 1.13 learns of a pool when runs wait for it for the first time, and lets all of these go.
    """
    storage = instance.event_log_storage
    if CENSUS_POOL not in storage.get_concurrency_keys():
        storage.initialize_concurrency_limit_to_default(CENSUS_POOL)
