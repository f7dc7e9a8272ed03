"""One subset's definitions on a real Dagster instance on disk, and copies of it at every stage of an ingest."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from dagster import DagsterInstance
from dagster_aws.s3 import S3Resource

from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.ingest.plan.chunk_plan import Chunk, ChunkPlan, load_plan
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.names import (
    CENSUS_RELEASE,
    chunk_plan_key,
    dataset_key,
    h5ad_chunks_key,
    ingest_job_name,
    missing_chunks_job_name,
    publish_job_name,
)
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource
from cxg_assets_tests.spared import drawing

OUR_STORAGE = {
    "event_log_storage": {"module": "cxg_assets.instance.event_log", "class": "ReusingSqliteEventLogStorage"},
    "run_storage": {"module": "cxg_assets.instance.storages", "class": "OnceMadeRunStorage"},
    "schedule_storage": {"module": "cxg_assets.instance.storages", "class": "OnceMadeScheduleStorage"},
    "telemetry": {"enabled": False},
}
"""What the `dagster.yaml` says that the command writes."""

Stage = Literal["empty", "prepared", "stored", "published"]


@dataclass(frozen=True)
class Platform:
    """One subset on one Dagster instance."""

    instance: DagsterInstance
    spec: SubsetSpec
    census_uri: str
    store_url: str

    @property
    def store(self) -> Store:
        return StoreResource(url=self.store_url, s3=S3Resource()).locator().open()

    @cached_property
    def definitions(self) -> dg.Definitions:
        return complete(
            subset_definitions(self.spec, ""),
            census=CensusResource(uri=self.census_uri),
            store=StoreResource(url=self.store_url, s3=S3Resource()),
            workers=1,
        )

    @property
    def plan(self) -> ChunkPlan:
        name = self.spec.name
        return load_plan(self.store, name, latest_data_version(self.instance, chunk_plan_key(name)))

    def changed(self, **changes: Any) -> "Platform":
        """The same instance and store after an edit of the YAML."""
        return replace(self, spec=replace(self.spec, **changes))

    def file(self, chunk: Chunk) -> Path:
        return Path(self.store_url.removeprefix("file://")) / self.plan.path(chunk)

    def run(self, job: str, **arguments: Any) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, raise_on_error=False, **arguments
        )

    def prepare(self) -> dg.ExecuteInProcessResult:
        observe_release(self.definitions, self.instance)
        return self.run(ingest_job_name(self.spec.name))

    def make_missing(self, chunks: Sequence[str] = ()) -> dg.ExecuteInProcessResult:
        ops = {f"{self.spec.name}_make_missing_chunks": {"config": {"chunks": list(chunks)}}}
        return self.run(missing_chunks_job_name(self.spec.name), run_config={"ops": ops})

    def make_range(self, first: str, last: str) -> dg.ExecuteInProcessResult:
        job = dg.define_asset_job("one_range", [h5ad_chunks_key(self.spec.name)])
        definitions = dg.Definitions.merge(self.definitions, dg.Definitions(jobs=[job]))
        return definitions.resolve_job_def("one_range").execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
        )

    def publish(self) -> dg.ExecuteInProcessResult:
        return self.run(publish_job_name(self.spec.name))

    def chunk_events(self) -> list[dg.AssetMaterialization]:
        """Every materialization of a chunk on record, newest first."""
        records = self.instance.fetch_materializations(h5ad_chunks_key(self.spec.name), limit=1_000).records
        return [record.asset_materialization for record in records if record.asset_materialization is not None]

    def dataset_events(self) -> list[dg.AssetMaterialization]:
        records = self.instance.fetch_materializations(dataset_key(self.spec.name), limit=100).records
        return [record.asset_materialization for record in records if record.asset_materialization is not None]


def observe_release(definitions: dg.Definitions, instance: DagsterInstance) -> None:
    """Looks which build of the Census is in use, as the button Observe does."""
    job = dg.define_asset_job("observe", [CENSUS_RELEASE])
    observing = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job])).resolve_job_def("observe")
    assert observing.execute_in_process(instance=instance).success


def publish_all(platform: Platform) -> Platform:
    assert platform.prepare().success
    assert platform.make_missing().success
    assert platform.publish().success
    return platform


def failure_text(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step says."""
    [event] = [event for event in result.all_events if event.is_step_failure]
    assert event.step_failure_data.user_failure_data is not None
    return event.step_failure_data.user_failure_data.description or ""


def _prepare(platform: Platform) -> None:
    assert platform.prepare().success


def _store_chunks(platform: Platform) -> None:
    assert platform.make_missing().success


def _publish(platform: Platform) -> None:
    assert platform.publish().success


_STEPS: dict[Stage, tuple[Stage, Callable[[Platform], None]]] = {
    "prepared": ("empty", _prepare),
    "stored": ("prepared", _store_chunks),
    "published": ("stored", _publish),
}
"""What a stage follows on, and what leads to it."""


@dataclass(frozen=True)
class Stages:
    """A platform as it was at a stage, for tests that may change it: each gets a copy, and a stage is made once.

    All copies lie in one place, one after the other, as what is on record tells where the files are.

    Attributes:
        folder: Where that place is, and what is kept of each stage.
        spec: The subset.
        census_uri: The Census.
        storage: Settings of the instance.
    """

    folder: Path
    spec: SubsetSpec
    census_uri: str
    storage: Mapping[str, Any]

    @contextmanager
    def at(self, stage: Stage) -> Iterator[Platform]:
        """A copy of the platform at a stage."""
        self._put(self._kept(stage))
        with self._open() as platform:
            yield platform

    def _kept(self, stage: Stage) -> Path:
        """What is kept of a stage. Made when it is asked for first."""
        kept = self.folder / stage
        if not kept.exists():
            if stage == "empty":
                (self._place / "dagster").mkdir(parents=True)
                with self._open():
                    pass
            else:
                before, step = _STEPS[stage]
                self._put(self._kept(before))
                with self._open() as platform, drawing():
                    step(platform)
            self._place.rename(kept)
        return kept

    @property
    def _place(self) -> Path:
        return self.folder / "place"

    def _put(self, kept: Path) -> None:
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.copytree(kept, self._place)

    @contextmanager
    def _open(self) -> Iterator[Platform]:
        home = str(self._place / "dagster")
        with DagsterInstance.local_temp(home, overrides=dict(self.storage)) as instance:
            yield Platform(instance, self.spec, self.census_uri, (self._place / "store").as_uri())
