"""Runs that the command executes in its own process, recorded like those of the code location.

Dagster's timeline shows the runs of code locations only, and its `execute_in_process` records runs of none. So these
are made with the origin that `cxg-assets ui` and, in a project, `dagster dev` serve. That shows them to the sensors as
well: a tag that the UI hides tells the sensor of chains to leave them to the command.
"""

import sys
import uuid
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster import DagsterInstance
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import create_execution_plan, execute_run
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from cxg_assets import settings
from cxg_assets.instance.dead_runs import process_tag
from cxg_assets.names import INGEST_TAG

REPOSITORY, MODULE = "__repository__", "cxg_assets.definitions"
"""As `cxg-assets ui` and `dagster dev` name them."""

COMMAND_TAG = ".dagster/cxg_assets_command"
"""On a run of the command: its own id, so that what is executed again from it is not taken for one."""


def is_of_command(run: dg.DagsterRun) -> bool:
    """Whether the command executes a run, and goes on by itself when it has succeeded."""
    return run.tags.get(COMMAND_TAG) == run.run_id


def execute_here(
    definitions: dg.Definitions,
    job: str,
    instance: DagsterInstance,
    run_config: Mapping[str, Any],
    *,
    run_id: str | None = None,
    first_run_id: str | None = None,
) -> dg.JobExecutionResult:
    """Executes a job in this process.

    Args:
        definitions: Where it is defined.
        job: Its name.
        instance: Where it is recorded.
        run_config: Its configuration.
        run_id: The run's id; None for a new one.
        first_run_id: The first run of the chain that it is part of; None for none.
    """
    job_def, new_id = definitions.resolve_job_def(job), run_id or str(uuid.uuid4())
    tags = {**job_def.run_tags, **process_tag(), COMMAND_TAG: new_id}
    run = instance.create_run_for_job(
        job_def=job_def,
        run_id=new_id,
        run_config=run_config,
        tags=tags if first_run_id is None else {**tags, INGEST_TAG: first_run_id},
        execution_plan=create_execution_plan(InMemoryJob(job_def), run_config=run_config),
        remote_job_origin=_origin(job),
    )
    return execute_run(InMemoryJob(job_def), run, instance, raise_on_error=False)


def _origin(job: str) -> RemoteJobOrigin:
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE)
    name = settings.code_location()
    location = ManagedGrpcPythonEnvCodeLocationOrigin(loadable_target_origin=target, location_name=name)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, REPOSITORY), job)
