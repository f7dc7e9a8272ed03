"""The sensor that watches the release directory: one request for each new build, none for any other Census."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster_aws.s3 import S3Resource

from cxg_assets.automation.new_release import NEW_RELEASE_JOB
from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.ingest.census import release_directory
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.instance.provenance import observed_release
from cxg_assets.names import census_index_key
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource
from cxg_assets_tests.servers.public_census import PublicCensus

NAME = "new_census_release"
OLD, NEW = "2025-11-08", "2025-11-17"


@dataclass(frozen=True)
class Watch:
    """A code location with the sensor, on an instance of its own."""

    definitions: dg.Definitions
    instance: DagsterInstance

    @property
    def sensor(self) -> dg.SensorDefinition:
        return self.definitions.get_repository_def().get_sensor_def(NAME)

    def tick(self) -> SensorExecutionData:
        """What the daemon gets when it evaluates the sensor."""
        resources = dict(self.definitions.resources or {})
        with dg.build_sensor_context(
            instance=self.instance, definitions=self.definitions, resources={"census": resources["census"]}
        ) as context:
            return self.sensor.evaluate_tick(context)

    def run_key(self) -> str:
        """The key of the one run that a tick asks for."""
        [request] = self.tick().run_requests or []
        assert (request.job_name or NEW_RELEASE_JOB) == NEW_RELEASE_JOB
        assert request.run_key is not None
        return request.run_key

    def skips(self) -> str:
        """Why a tick asks for nothing."""
        data = self.tick()
        assert not data.run_requests
        return data.skip_message or ""

    def run_job(self) -> None:
        """Does what a request asks for."""
        job = self.definitions.resolve_job_def(NEW_RELEASE_JOB)
        assert job.execute_in_process(instance=self.instance).success


@pytest.fixture
def watch(public: PublicCensus, tmp_path: Path, spec: Callable[..., SubsetSpec]) -> Iterator[Callable[..., Watch]]:
    """A function: the sensor for a Census; `stable` if none is given."""
    (tmp_path / "dagster").mkdir()
    with DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:

        def make(census: CensusResource | None = None) -> Watch:
            definitions = complete(
                subset_definitions(spec(), ""),
                census=census or CensusResource(version="stable"),
                store=StoreResource(url=(tmp_path / "store").as_uri(), s3=S3Resource()),
            )
            return Watch(definitions, instance)

        yield make


def test_it_is_off_until_somebody_starts_it(watch: Callable[..., Watch]) -> None:
    sensor = watch().sensor
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert sensor.minimum_interval_seconds == 3_600


def test_a_census_by_its_uri_is_not_watched_and_nobody_is_asked(
    watch: Callable[..., Watch], public: PublicCensus, census_uri: str
) -> None:
    reason = watch(CensusResource(uri=census_uri)).skips()

    assert reason == f"the Census in use is {census_uri}, which is not a release of the public Census"
    assert public.asked == []


def test_it_asks_for_one_run_for_a_build_however_often_it_looks(watch: Callable[..., Watch]) -> None:
    watched = watch()
    assert {watched.run_key() for _ in range(3)} == {watched.run_key()}


def test_after_the_run_it_skips_until_stable_moves(watch: Callable[..., Watch], public: PublicCensus) -> None:
    watched = watch()
    first = watched.run_key()

    watched.run_job()
    assert watched.skips() == f"stable is build {OLD} as before"

    public.releases["stable"] = NEW
    second = watched.run_key()
    assert (second != first, second == watched.run_key()) == (True, True)

    watched.run_job()
    assert watched.skips() == f"stable is build {NEW} as before"
    observed = observed_release(watched.instance, "stable")
    assert observed is not None
    assert observed.build == NEW
    event = watched.instance.get_latest_materialization_event(census_index_key("homo_sapiens"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["census_build"].value == NEW


def test_a_build_that_moved_to_another_place_is_a_new_one(watch: Callable[..., Watch], public: PublicCensus) -> None:
    watched = watch()
    before = watched.run_key()
    watched.run_job()

    public.releases[OLD]["soma"]["relative_uri"] = "/cell-census/moved/soma/"

    assert watched.run_key() != before


def test_a_look_takes_two_requests_to_the_directory_and_none_to_the_census(
    watch: Callable[..., Watch], public: PublicCensus
) -> None:
    watch().run_key()

    assert len(public.asked) == 2
    assert public.s3_requests().total() == 0


def test_a_directory_that_cannot_be_reached_fails_the_tick_with_the_reason(
    watch: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_directory, "BACKOFF_S", 0.0)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    with pytest.raises(CxgError, match=r"census_version: https://census\.cellxgene.*: no answer .*HTTPS_PROXY"):
        watch().tick()
