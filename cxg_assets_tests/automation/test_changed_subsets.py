"""The sensor that asks for the ingest of what is not as its YAML and the release say."""

import dagster as dg
from dagster import DagsterInstance

from cxg_assets.names import CENSUS_RELEASE
from cxg_assets_tests.automation.conftest import Project

NAME = "changed_subsets"


class Ticks:
    """The daemon: hands each tick the cursor of the one before."""

    def __init__(self) -> None:
        self.cursor: str | None = None

    def tick(self, project: Project) -> list[str]:
        """The jobs that a tick asks for."""
        with dg.build_sensor_context(
            instance=project.instance, definitions=project.definitions, cursor=self.cursor
        ) as context:
            data = project.repository.get_sensor_def(NAME).evaluate_tick(context)
        self.cursor = data.cursor
        return sorted(request.job_name or "" for request in data.run_requests or ())


def observe(instance: DagsterInstance, version: str) -> None:
    """Another build of the Census is observed."""
    tags = {"dagster/data_version": version}
    instance.report_runless_asset_event(dg.AssetObservation(CENSUS_RELEASE, tags=tags))


def test_a_subset_is_asked_for_when_it_changes_and_only_once_for_a_change(project: Project) -> None:
    ticks = Ticks()
    assert ticks.tick(project) == ["blood_ingest", "t_cells_ingest"]
    assert ticks.tick(project) == []
    project.run("blood_ingest")
    project.run("t_cells_ingest")
    assert ticks.tick(project) == []

    edited = project.changed("blood", max_obs=150)
    assert ticks.tick(edited) == ["blood_ingest"]
    assert ticks.tick(edited) == []
    edited.run("blood_ingest")
    assert ticks.tick(edited) == []

    # The same change as at first, in the other direction: it is one again.
    assert ticks.tick(project) == ["blood_ingest"]
    assert ticks.tick(project) == []

    replanned = project.changed("t_cells", chunk_size=7)
    assert ticks.tick(replanned) == ["t_cells_ingest"]


def test_another_release_asks_for_every_subset(project: Project) -> None:
    ticks = Ticks()
    project.run("blood_ingest")
    project.run("t_cells_ingest")
    assert ticks.tick(project) == []

    observe(project.instance, "another build")

    assert ticks.tick(project) == ["blood_ingest", "t_cells_ingest"]
    assert ticks.tick(project) == []


def test_an_ingest_that_is_under_way_is_not_asked_for_again(project: Project) -> None:
    under_way = dg.DagsterRun(job_name="blood_ingest", status=dg.DagsterRunStatus.STARTED)
    project.instance.add_run(under_way)
    ticks = Ticks()

    assert ticks.tick(project) == ["t_cells_ingest"]

    # Somebody terminated it: the change is as much one as before.
    project.instance.report_run_canceled(under_way)
    assert ticks.tick(project) == ["blood_ingest"]


def test_it_is_off_until_somebody_starts_it(project: Project) -> None:
    assert project.repository.get_sensor_def(NAME).default_status is dg.DefaultSensorStatus.STOPPED
