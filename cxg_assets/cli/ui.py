"""`cxg-assets ui`: the Dagster UI on this project's instance."""

import os
import sys
from pathlib import Path

import click
from dagster import DagsterInstance

from cxg_assets import settings
from cxg_assets.assets.keys import CENSUS_POOL
from cxg_assets.assets.killed_runs import report_killed_runs
from cxg_assets.cli.project import dagster_instance

WORKSPACE = Path(__file__).with_name("workspace.yaml")
"""The one of a checkout, where there is none: the code location has the same name in both."""

OTHER_COMMAND = "Function `dev_command` is superseded"
"""So begins what `dagster dev` says of itself: `dg dev` is another package's."""


@click.command("ui")
@click.option("-p", "--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
def ui_command(port: int) -> None:
    """Serves the Dagster UI with its daemon, on this machine only. Ctrl-C ends it."""
    with dagster_instance() as instance:
        report_killed_runs(instance)
        _make_pool_known(instance)
    environment = os.environ | {"DAGSTER_HOME": str(settings.dagster_home()), "CXG_HOME": str(settings.home())}
    environment.setdefault("PYTHONWARNINGS", f"ignore:{OTHER_COMMAND}")
    command = ["dagster", "dev", "-w", str(WORKSPACE), "-h", "127.0.0.1", "-p", str(port)]
    os.execve(sys.executable, [sys.executable, "-m", *command], environment)


def _make_pool_known(instance: DagsterInstance) -> None:
    """Sees that the pool's limit holds from the first run on.

    Left alone, Dagster 1.13 learns of a pool when runs wait for it for the first time, and lets all of these go.
    """
    storage = instance.event_log_storage
    if CENSUS_POOL not in storage.get_concurrency_keys():
        storage.initialize_concurrency_limit_to_default(CENSUS_POOL)
