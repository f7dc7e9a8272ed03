"""Runs whose process was killed do not show as running for ever."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance

from cxg_assets.instance.dead_runs import PROCESS_TAG, process_tag, report_killed_runs, where

STARTED = dg.DagsterRunStatus.STARTED
FAILURE = dg.DagsterRunStatus.FAILURE


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


def run_of(instance: DagsterInstance, tags: dict[str, str], status: dg.DagsterRunStatus = STARTED) -> str:
    """A run that is on record with a status and with tags."""
    job = dg.GraphDefinition(name="some_job", node_defs=[]).to_job()
    return instance.create_run_for_job(job, status=status, tags=tags).run_id


def status_of(instance: DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def tag_of_a_dead_process() -> dict[str, str]:
    program = "from cxg_assets.instance.dead_runs import process_tag; print(*process_tag().values())"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    return {PROCESS_TAG: said.strip()}


def test_a_run_whose_process_is_gone_has_failed(instance: DagsterInstance) -> None:
    killed = run_of(instance, tag_of_a_dead_process())

    assert report_killed_runs(instance) == [killed]
    assert status_of(instance, killed) == FAILURE
    assert report_killed_runs(instance) == []


def test_a_run_whose_process_lives_goes_on(instance: DagsterInstance) -> None:
    mine = run_of(instance, process_tag())

    assert report_killed_runs(instance) == []
    assert status_of(instance, mine) == STARTED


def test_a_process_that_got_the_id_of_a_dead_one_is_not_taken_for_it(instance: DagsterInstance) -> None:
    killed = run_of(instance, {PROCESS_TAG: f"{where()} {os.getpid()} 1"})

    assert report_killed_runs(instance) == [killed]


def test_nothing_is_said_of_other_machines_and_of_runs_that_tell_nothing(instance: DagsterInstance) -> None:
    elsewhere = run_of(instance, {PROCESS_TAG: "another-machine 1 1"})
    unknown = run_of(instance, {})

    assert report_killed_runs(instance) == []
    assert {status_of(instance, elsewhere), status_of(instance, unknown)} == {STARTED}


def test_runs_that_have_ended_stay_as_they_are(instance: DagsterInstance) -> None:
    ended = run_of(instance, tag_of_a_dead_process(), dg.DagsterRunStatus.SUCCESS)

    assert report_killed_runs(instance) == []
    assert status_of(instance, ended) == dg.DagsterRunStatus.SUCCESS
