"""`stable` of the public Census as an asset: what an observation records, and what is stale when it has moved."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cellxgene_census
import dagster as dg
import pytest
import tiledbsoma as soma
from dagster import DagsterInstance
from dagster_aws.s3 import S3Resource

from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.names import (
    CENSUS_RELEASE,
    census_index_key,
    chunk_plan_key,
    dataset_key,
    filtered_subset_key,
    h5ad_chunks_key,
)
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource
from cxg_assets_tests.assets.test_graph import stale
from cxg_assets_tests.conftest import BLOOD_NORMAL
from cxg_assets_tests.platforms import Platform, observe_release, publish_all
from cxg_assets_tests.servers.public_census import PublicCensus
from cxg_assets_tests.servers.strict_s3 import forget_aws

NAME = "blood_normal"
INDEX = census_index_key("homo_sapiens")
OLD, NEW = "2025-11-08", "2025-11-17"
RELEASE_TAG = "dagster/input_data_version/census_release"
CHUNKS = ["00000", "00001", "00002"]


@dataclass(frozen=True)
class StablePlatform(Platform):
    """A subset of `stable`."""

    @cached_property
    def definitions(self) -> dg.Definitions:
        return complete(
            subset_definitions(self.spec, ""),
            census=CensusResource(version="stable"),
            store=StoreResource(url=self.store_url, s3=S3Resource()),
            workers=1,
        )

    def observe(self) -> dg.AssetObservation:
        """Looks where `stable` is now."""
        observe_release(self.definitions, self.instance)
        return self.observations()[0]

    def observations(self) -> list[dg.AssetObservation]:
        """All that is on record, newest first."""
        records = self.instance.fetch_observations(CENSUS_RELEASE, limit=100).records
        return [record.asset_observation for record in records if record.asset_observation is not None]

    def verdicts(self) -> dict[str, str]:
        """Dagster's verdict on everything that is made."""
        keys = (INDEX, filtered_subset_key(NAME), chunk_plan_key(NAME), dataset_key(NAME))
        found = {key.path[-1]: stale(self, key) for key in keys}
        return found | {chunk.key: stale(self, h5ad_chunks_key(NAME), chunk.key) for chunk in self.plan.chunks}


pytestmark = pytest.mark.usefixtures("workers")  # before a test changes the environment

ALL = ["census_index", "filtered_subset", "chunk_plan", "dataset", *CHUNKS]


@contextmanager
def stable_platform(folder: Path, uri: str, spec: Callable[..., SubsetSpec]) -> Iterator[StablePlatform]:
    """A platform whose instance and store are in this folder."""
    (folder / "dagster").mkdir(exist_ok=True)
    small = spec(value_filter=BLOOD_NORMAL, chunk_size=20, max_obs=60)
    with DagsterInstance.local_temp(str(folder / "dagster")) as instance:
        yield StablePlatform(instance, small, uri, (folder / "store").as_uri())


@pytest.fixture
def platform(public: PublicCensus, tmp_path: Path, spec: Callable[..., SubsetSpec]) -> Iterator[StablePlatform]:
    with stable_platform(tmp_path, public.uri, spec) as made:
        yield made


@pytest.fixture(scope="module")
def prepared_folder(
    running_public_census: PublicCensus, tmp_path_factory: pytest.TempPathFactory, spec: Callable[..., SubsetSpec]
) -> Path:
    """Instance and store after an index, a subset and a plan of the old build."""
    folder = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as monkeypatch, stable_platform(folder, running_public_census.uri, spec) as made:
        forget_aws(monkeypatch, folder)
        running_public_census.use(monkeypatch)
        assert made.prepare().success
    return folder


@pytest.fixture
def prepared(
    prepared_folder: Path, public: PublicCensus, tmp_path: Path, spec: Callable[..., SubsetSpec]
) -> Iterator[StablePlatform]:
    """A copy of that, which a test may change."""
    shutil.copytree(prepared_folder, tmp_path, dirs_exist_ok=True)
    with stable_platform(tmp_path, public.uri, spec) as copy:
        yield copy


@pytest.fixture
def published(prepared: StablePlatform) -> StablePlatform:
    assert prepared.make_missing().success
    assert prepared.publish().success
    return prepared


def summary_of(census: soma.Collection) -> dict[str, str]:
    table = census["census_info"]["summary"].read().concat()
    return dict(zip(table["label"].to_pylist(), table["value"].to_pylist(), strict=True))


def test_an_observation_tells_all_of_the_build(platform: StablePlatform, public: PublicCensus) -> None:
    observation = platform.observe()

    with cellxgene_census.open_soma(census_version="stable", tiledb_config=public.tiledb_config) as census:
        summary = summary_of(census)
    told = {label: entry.value for label, entry in observation.metadata.items()}
    assert {name: told[name] for name in told.keys() - {"census_fingerprint", "read_at"}} == {
        "release": "stable",
        "census_build": OLD,
        "census_uri": public.uri,
        "dagster/uri": public.uri,
        "census_region": "us-west-2",
        "census_schema_version": summary["census_schema_version"],
        "census_flags": ["lts"],
        "census_total_cell_count": int(summary["total_cell_count"]),
        "census_unique_cell_count": int(summary["unique_cell_count"]),
    }
    version = (observation.tags or {})["dagster/data_version"]
    assert version == f"{OLD}-{str(told['census_fingerprint'])[:8]}"


def test_all_is_stale_when_stable_has_moved_and_fresh_when_it_was_made_again(
    published: StablePlatform, public: PublicCensus
) -> None:
    files = [published.file(chunk) for chunk in published.plan.chunks]
    published.observe()
    assert published.verdicts() == dict.fromkeys(ALL, "FRESH")
    public.releases["stable"] = NEW
    published.observe()

    assert published.verdicts() == dict.fromkeys(ALL, "STALE")
    publish_all(published)
    assert published.plan.header.subset.release.build == NEW
    assert published.verdicts() == dict.fromkeys(ALL, "FRESH")
    assert all(file.is_file() for file in files)


def test_a_chunk_of_an_older_plan_than_the_observation_tells_the_plans_release_and_is_stale(
    prepared: StablePlatform, public: PublicCensus
) -> None:
    public.releases["stable"] = NEW
    observation = prepared.observe()

    assert prepared.make_missing(["00001"]).success

    [event] = prepared.chunk_events()
    assert (event.tags or {})[RELEASE_TAG] == prepared.plan.header.subset.release.version
    assert (event.tags or {})[RELEASE_TAG] != (observation.tags or {})["dagster/data_version"]
    assert stale(prepared, h5ad_chunks_key(NAME), "00001") == "STALE"


def test_runs_of_chunks_tell_the_plans_release_and_ask_the_directory_nothing(
    prepared: StablePlatform, public: PublicCensus
) -> None:
    public.releases["stable"] = NEW
    prepared.observe()
    public.asked.clear()

    assert prepared.make_range("00000", "00001").success
    assert prepared.make_missing().success
    assert prepared.publish().success

    assert public.asked == []
    tags = {event.partition: (event.tags or {})[RELEASE_TAG] for event in prepared.chunk_events()}
    assert tags == dict.fromkeys(CHUNKS, prepared.plan.header.subset.release.version)
    assert {stale(prepared, h5ad_chunks_key(NAME), key) for key in CHUNKS} == {"STALE"}


def test_an_index_without_an_observation_looks_for_itself_says_so_and_is_fresh(platform: StablePlatform) -> None:
    job = dg.define_asset_job("only_the_index", [INDEX])
    definitions = dg.Definitions.merge(platform.definitions, dg.Definitions(jobs=[job]))

    result = definitions.resolve_job_def("only_the_index").execute_in_process(instance=platform.instance)

    assert result.success
    [observation] = platform.observations()
    assert observation.metadata["census_build"].value == OLD
    assert (observation.tags or {})["dagster/data_version"] == latest_data_version(platform.instance, INDEX)
    assert stale(platform, INDEX) == "FRESH"
