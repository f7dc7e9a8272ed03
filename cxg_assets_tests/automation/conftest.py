"""Two subsets of one organism on one instance, of which nothing was made."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInstance
from dagster_aws.s3 import S3Resource

from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource
from cxg_assets_tests.conftest import BLOOD_NORMAL


@dataclass(frozen=True)
class Project:
    """Subsets of one code location on one Dagster instance."""

    instance: DagsterInstance
    specs: Mapping[str, SubsetSpec]
    census_uri: str
    store_url: str

    @cached_property
    def definitions(self) -> dg.Definitions:
        return complete(
            dg.Definitions.merge(*(subset_definitions(spec, "") for spec in self.specs.values())),
            census=CensusResource(uri=self.census_uri),
            store=StoreResource(url=self.store_url, s3=S3Resource()),
            workers=1,
        )

    @property
    def repository(self) -> dg.RepositoryDefinition:
        return self.definitions.get_repository_def()

    def changed(self, subset: str, **changes: Any) -> "Project":
        """The same instance and store after an edit of one YAML."""
        return replace(self, specs={**self.specs, subset: replace(self.specs[subset], **changes)})

    def run(self, job: str, **arguments: Any) -> dg.ExecuteInProcessResult:
        result = self.definitions.resolve_job_def(job).execute_in_process(instance=self.instance, **arguments)
        assert result.success
        return result

    def make(self, *keys: dg.AssetKey) -> None:
        """Makes assets without partitions, as one run of the daemon's would."""
        job = dg.define_asset_job("some_assets", list(keys))
        definitions = dg.Definitions.merge(self.definitions, dg.Definitions(jobs=[job]))
        assert definitions.resolve_job_def("some_assets").execute_in_process(instance=self.instance).success


@pytest.fixture
def project(tmp_path: Path, census_uri: str, spec: Callable[..., SubsetSpec]) -> Iterator[Project]:
    """blood, of 6 chunks, and t_cells, of 3."""
    home = tmp_path / "dagster"
    home.mkdir()
    specs = {
        "blood": spec(name="blood", value_filter=BLOOD_NORMAL, chunk_size=40, max_obs=230),
        "t_cells": spec(name="t_cells", value_filter="cell_type == 'T cell'", chunk_size=10, max_obs=30),
    }
    with DagsterInstance.local_temp(str(home)) as instance:
        yield Project(instance, specs, census_uri, (tmp_path / "store").as_uri())
