"""The sensor that leads from a subset's ingest to its published dataset, a run at a time."""

import dagster as dg

from cxg_assets.automation.ingest_chain import INGEST_TAG
from cxg_assets_tests.automation.conftest import Project


def follow(project: Project, run_id: str) -> dg.RunRequest | dg.SkipReason:
    """What the sensor says of a run that has succeeded."""
    run = project.instance.get_run_by_id(run_id)
    assert run is not None
    [ended] = [
        record.event_log_entry.dagster_event
        for record in project.instance.get_records_for_run(run_id).records
        if record.event_log_entry.dagster_event_type is dg.DagsterEventType.RUN_SUCCESS
    ]
    assert ended is not None
    context = dg.build_run_status_sensor_context("ingest_chain", ended, project.instance, run)
    answer = project.repository.get_sensor_def("ingest_chain")(context)
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def asked(answer: dg.RunRequest | dg.SkipReason) -> tuple[str | None, str | None, dict[str, str]]:
    assert isinstance(answer, dg.RunRequest)
    return answer.job_name, answer.run_key, dict(answer.tags)


def test_each_run_of_a_chain_asks_for_the_next_under_the_id_of_the_first(project: Project, workers: None) -> None:
    first = project.run("blood_ingest").run_id
    assert asked(follow(project, first)) == ("blood_missing_chunks", first, {INGEST_TAG: first})
    ingest = project.instance.get_run_by_id(first)
    assert ingest is not None
    assert ingest.tags[INGEST_TAG] == first

    second = project.run("blood_missing_chunks", tags={INGEST_TAG: first}).run_id
    assert asked(follow(project, second)) == ("blood_publish", second, {INGEST_TAG: first})

    # Nothing is missing now, and it is published all the same.
    again = project.run("blood_missing_chunks", tags={INGEST_TAG: first}).run_id
    assert asked(follow(project, again)) == ("blood_publish", again, {INGEST_TAG: first})

    # A run of the same job that somebody started by itself is of no chain.
    alone = project.run("blood_missing_chunks").run_id
    assert isinstance(follow(project, alone), dg.SkipReason)


def test_a_run_asks_for_the_same_run_however_often_it_is_looked_at(project: Project) -> None:
    first = project.run("t_cells_ingest").run_id
    assert asked(follow(project, first)) == asked(follow(project, first))


def test_it_is_on_and_knows_every_subset(project: Project) -> None:
    sensor = project.repository.get_sensor_def("ingest_chain")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert {job.name for job in sensor.jobs} == {
        f"{subset}_{job}" for subset in project.specs for job in ("missing_chunks", "publish")
    }
