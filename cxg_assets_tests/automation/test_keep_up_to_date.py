"""What Dagster asks for by itself when a release, a filter or a plan changes, tick by tick, with the sensor on."""

import datetime

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from cxg_assets.names import CENSUS_RELEASE, census_index_key, chunk_plan_key, filtered_subset_key
from cxg_assets_tests.automation.conftest import Project
from cxg_assets_tests.platforms import observe_release

pytestmark = pytest.mark.stack

INDEX = census_index_key("homo_sapiens")
BLOOD_CHUNKS, T_CELL_CHUNKS = [f"{n:05d}" for n in range(6)], [f"{n:05d}" for n in range(3)]


class Ticks:
    """The daemon: hands each tick the cursor of the one before."""

    def __init__(self) -> None:
        self.cursor = None

    def tick(self, project: Project, at: datetime.datetime | None = None) -> dict[str, int]:
        """What a tick asks for: how many partitions of each asset, 1 for one without."""
        now = at or datetime.datetime.now(datetime.UTC)
        result = dg.evaluate_automation_conditions(
            project.definitions,
            project.instance,
            asset_selection=dg.AssetSelection.all(include_sources=True),
            evaluation_time=now,
            cursor=self.cursor,
        )
        self.cursor = result.cursor
        with partition_loading_context(now, project.instance):
            sizes = {found.key.to_user_string(): found.true_subset.size for found in result.results}
        return {key: size for key, size in sizes.items() if size}


@pytest.fixture
def ticks(project: Project) -> Ticks:
    """After the first tick: nothing is there, and nothing is asked for."""
    made = Ticks()
    assert made.tick(project) == {}
    return made


def prepared(project: Project, ticks: Ticks) -> None:
    """Does what the ticks ask for, down to both plans."""
    observe_release(project.definitions, project.instance)
    assert ticks.tick(project) == {"homo_sapiens/census_index": 1}
    assert ticks.tick(project) == {}
    project.make(INDEX)
    assert ticks.tick(project) == {"blood/filtered_subset": 1, "t_cells/filtered_subset": 1}
    project.make(filtered_subset_key("blood"), filtered_subset_key("t_cells"))
    assert ticks.tick(project) == {"blood/chunk_plan": 1, "t_cells/chunk_plan": 1}
    project.make(chunk_plan_key("blood"), chunk_plan_key("t_cells"))
    assert ticks.tick(project) == {"blood/h5ad_chunks": len(BLOOD_CHUNKS), "t_cells/h5ad_chunks": len(T_CELL_CHUNKS)}
    assert ticks.tick(project) == {}


def test_an_edited_filter_flows_down_to_the_dataset_of_its_subset_alone(
    project: Project, ticks: Ticks, workers: None
) -> None:
    prepared(project, ticks)
    for subset in project.specs:
        project.run(f"{subset}_missing_chunks")
    assert ticks.tick(project) == {"blood/dataset": 1, "t_cells/dataset": 1}
    for subset in project.specs:
        project.run(f"{subset}_publish")
    assert ticks.tick(project) == {}

    edited = project.changed("blood", max_obs=150)
    assert ticks.tick(edited) == {"blood/filtered_subset": 1}
    edited.make(filtered_subset_key("blood"))
    assert ticks.tick(edited) == {"blood/chunk_plan": 1}
    edited.make(chunk_plan_key("blood"))
    assert ticks.tick(edited) == {"blood/h5ad_chunks": 4}
    edited.run("blood_missing_chunks")
    assert ticks.tick(edited) == {"blood/dataset": 1}
    edited.run("blood_publish")
    assert ticks.tick(edited) == {}


def test_each_change_asks_for_what_is_next_below_it_and_no_change_for_nothing(project: Project, ticks: Ticks) -> None:
    prepared(project, ticks)
    for subset in project.specs:
        project.run(f"{subset}_ingest")
    assert ticks.tick(project) == {}

    replanned = project.changed("t_cells", chunk_size=6)
    assert ticks.tick(replanned) == {"t_cells/chunk_plan": 1}

    # The same change as before, in the other direction: it is one again.
    replanned.make(chunk_plan_key("t_cells"))
    assert ticks.tick(replanned) == {"t_cells/h5ad_chunks": 5}
    assert ticks.tick(project) == {"t_cells/chunk_plan": 1}
    assert ticks.tick(project) == {}

    tags = {"dagster/data_version": "another build"}
    project.instance.report_runless_asset_event(dg.AssetObservation(CENSUS_RELEASE, tags=tags))
    assert ticks.tick(project) == {"homo_sapiens/census_index": 1}


def test_the_release_is_looked_at_daily(project: Project, ticks: Ticks) -> None:
    observe_release(project.definitions, project.instance)
    ticks.tick(project)
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    assert CENSUS_RELEASE.to_user_string() in ticks.tick(project, tomorrow)
    assert ticks.tick(project, tomorrow + datetime.timedelta(minutes=1)) == {}


def test_the_sensor_is_off_and_no_asset_is_left_to_dagsters_own(project: Project) -> None:
    sensors = {
        sensor.name: sensor.default_status
        for sensor in project.repository.sensor_defs
        if isinstance(sensor, dg.AutomationConditionSensorDefinition)
    }
    assert sensors == {"keep_up_to_date": dg.DefaultSensorStatus.STOPPED}
