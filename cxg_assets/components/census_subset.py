"""The CensusSubset component: one YAML file becomes the assets, checks and jobs of one subset."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

import dagster as dg
from pydantic import Field, field_validator, model_validator

from cxg_assets import settings
from cxg_assets.assets.chunk_plan import build_chunk_plan
from cxg_assets.assets.dataset import build_dataset
from cxg_assets.assets.filtered_subset import build_filtered_subset
from cxg_assets.assets.h5ad_chunks import build_h5ad_chunks
from cxg_assets.automation.conditions import of_subset, with_conditions
from cxg_assets.checks.dataset import build_published_check
from cxg_assets.checks.plan import build_plan_check
from cxg_assets.checks.subset import build_subset_checks
from cxg_assets.components import known_previews
from cxg_assets.components.scaffolder import CensusSubsetScaffolder
from cxg_assets.ingest.errors import BadInput, shown, shown_text
from cxg_assets.ingest.plan.fingerprint import ENCODING_VERSION
from cxg_assets.ingest.selection.filter_spelling import plain_spelling
from cxg_assets.ingest.selection.gene_file import read_gene_file
from cxg_assets.ingest.spec import (
    DEFAULT_CHUNK_SIZE,
    DEFAULT_OBS_COLUMNS,
    GeneSelection,
    SubsetSpec,
)
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.ingest.storage.url import as_url
from cxg_assets.names import (
    CENSUS_RELEASE,
    census_index_key,
    chunk_plan_key,
    dataset_key,
    filtered_subset_key,
    ingest_job_name,
    publish_job_name,
)
from cxg_assets.ui.descriptions import OwnersAndTags, described


def _beside_the_yaml(context: dg.ResolutionContext, path: str | None) -> str | None:
    """The gene file, which lies in the folder of its YAML or below, also when links are followed.

    A subset is its folder: it works on another machine, and no YAML can make another file appear in messages.
    """
    if path is None:
        return None
    folder = context.resolve_source_relative_path(".").resolve()
    try:
        file = (folder / path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
        raise BadInput(f"genes.file: {shown(path)} is not the name of a file: {shown_text(str(error))}") from error
    if not file.is_relative_to(folder):
        raise BadInput(f"genes.file: {shown(path)} is outside of the folder of its YAML, {folder}; put the file there")
    return str(file)


class Genes(dg.Model, dg.Resolvable):
    """Which genes a subset keeps: those of a list (feature_ids or file), those that pass a filter, or both at once."""

    value_filter: str | None = Field(default=None, description="Filter over var, e.g. `n_measured_obs >= 10`.")
    feature_ids: list[str] | None = Field(default=None, description="Ensembl ids as var has them, without version.")
    file: Annotated[str | None, dg.Resolver(_beside_the_yaml, model_field_type=str)] = Field(
        default=None,
        description="Text file with a feature_id on each line, or a CSV with a column feature_id, in the folder of the "
        "YAML file or below.",
    )

    def selection(self) -> GeneSelection:
        """The engine's value.

        Raises:
            BadInput: Nothing or two lists are given, an id is malformed, the file cannot be read.
        """
        if self.feature_ids is not None and self.file is not None:
            raise BadInput("genes: feature_ids and file are both given; keep one of the two lists")
        feature_ids = None if self.feature_ids is None else tuple(self.feature_ids)
        if self.file is not None:
            feature_ids = read_gene_file(Path(self.file))
        return GeneSelection(value_filter=self.value_filter, feature_ids=feature_ids)


@dg.scaffold_with(CensusSubsetScaffolder)
class CensusSubset(dg.Component, dg.Model, dg.Resolvable):
    """A filtered slice of one organism of the CELLxGENE Census, as h5ad chunk files at a destination."""

    name: str = Field(description="Names the asset group and the folder at the destination.")
    organism: str = Field(description="As the Census spells it, e.g. homo_sapiens.")
    value_filter: str | None = Field(default=None, description="SOMA filter over obs. Left out: every cell.")
    obs_columns: list[str] = Field(
        default=list(DEFAULT_OBS_COLUMNS), description="obs columns of the chunks, after soma_joinid."
    )
    genes: Genes | None = Field(default=None, description="Left out: every gene.")
    max_obs: int | None = Field(default=None, description="First so many cells of the selection; to try a subset.")
    layer: Literal["raw", "normalized"] = Field(default="raw", description="X layer of the Census.")
    chunk_size: int = Field(default=DEFAULT_CHUNK_SIZE, description="Cells per file.")
    compression: Literal["gzip", "lzf", "zstd", "none"] = Field(
        default="gzip", description="Of the arrays in the files. zstd needs hdf5plugin in every reader."
    )
    destination: str = Field(
        default="",
        description="s3://bucket/prefix or a folder, a relative one from the project's. Empty: the default store.",
    )

    owners: list[str] = Field(
        default=[], description="Whose it is: e-mail addresses, and teams as team:name. The UI shows and finds them."
    )
    tags: dict[str, str] = Field(
        default={}, description="Labels of the subset's assets and runs, e.g. {project: blood}, to find them by."
    )

    @field_validator("destination")
    @classmethod
    def _as_url(cls, destination: str) -> str:
        return as_url(destination, settings.project())

    @model_validator(mode="after")
    def _is_a_subset(self) -> "CensusSubset":
        # The engine's own checks, so that a wrong value is reported with the line of the YAML.
        self.spec()
        self.owners_and_tags()
        if self.destination:
            StoreLocator(url=self.destination)
        return self

    def spec(self) -> SubsetSpec:
        """The engine's value.

        Raises:
            BadInput: An attribute has a value that it cannot have.
        """
        return SubsetSpec(
            name=self.name,
            organism=self.organism,
            value_filter=self.value_filter,
            obs_columns=tuple(self.obs_columns),
            genes=None if self.genes is None else self.genes.selection(),
            max_obs=self.max_obs,
            layer=self.layer,
            chunk_size=self.chunk_size,
            compression=self.compression,
        )

    def require_name_of(self, folder: Path) -> None:
        """Makes sure that the subset has the name of its folder: by that the command finds it, and it is unique.

        Raises:
            BadInput: It has another.
        """
        if self.name != folder.name:
            raise BadInput(f"name: {shown(self.name)} is not the name of its folder; rename one of the two")

    def owners_and_tags(self) -> OwnersAndTags:
        """Owners and tags.

        Raises:
            BadInput: Dagster would not take one of them.
        """
        return OwnersAndTags(owners=tuple(self.owners), tags=dict(self.tags))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of this subset.

        Raises:
            BadInput: The folder of its YAML has another name.
        """
        self.require_name_of(context.path)
        return subset_definitions(self.spec(), self.destination, self.owners_and_tags())


@known_previews()
def subset_definitions(
    spec: SubsetSpec, destination: str, owners_and_tags: OwnersAndTags | None = None
) -> dg.Definitions:
    """The assets, checks and jobs of one subset.

    Args:
        spec: The subset.
        destination: URL of its store; empty for the default store.
        owners_and_tags: Of its assets and runs.
    """
    of_whom = owners_and_tags or OwnersAndTags()
    selection = {
        "organism": spec.organism,
        "value_filter": _spelling(spec.value_filter),
        "obs_columns": spec.obs_columns,
        "max_obs": spec.max_obs,
        "genes": None
        if spec.genes is None
        else [_spelling(spec.genes.value_filter), spec.genes.feature_ids and sorted(spec.genes.feature_ids)],
    }
    # What selects is the subset's: of an edit of it, the plan knows by the subset's data version.
    files = {
        "layer": spec.layer,
        "chunk_size": spec.chunk_size,
        "compression": spec.compression,
        "encoding_version": ENCODING_VERSION,
    }
    h5ad_chunks, missing_chunks = build_h5ad_chunks(spec.name, destination, of_whom.tags)
    to_the_plan = [
        CENSUS_RELEASE,
        census_index_key(spec.organism),
        filtered_subset_key(spec.name),
        chunk_plan_key(spec.name),
    ]
    return dg.Definitions(
        assets=described(
            with_conditions(
                [
                    build_filtered_subset(spec, destination, _digest(selection)),
                    build_chunk_plan(spec, destination, _digest(files)),
                    h5ad_chunks,
                    build_dataset(spec.name, destination),
                ],
                of_subset(spec.name, spec.organism),
            ),
            spec,
            destination,
            of_whom,
        ),
        asset_checks=[
            build_subset_checks(spec.name, destination),
            build_plan_check(spec.name, destination),
            build_published_check(spec.name, destination),
        ],
        jobs=[
            dg.define_asset_job(
                ingest_job_name(spec.name),
                to_the_plan,
                description=f"All of {spec.name}, from its YAML to the published dataset: release, index, filter and "
                "plan here, then missing chunks and dataset in a run each, which the sensor ingest_chain asks for.",
                executor_def=dg.in_process_executor,
                tags=of_whom.tags,
            ),
            missing_chunks,
            dg.define_asset_job(
                publish_job_name(spec.name),
                [dataset_key(spec.name)],
                description=f"The last part of {ingest_job_name(spec.name)}: publishes {spec.name} when all its chunks "
                "are stored. The same as to materialize its dataset.",
                executor_def=dg.in_process_executor,
                tags=of_whom.tags,
            ),
        ],
    )


def _spelling(value_filter: str | None) -> str | None:
    return None if value_filter is None else plain_spelling(value_filter)


def _digest(values: dict[str, object]) -> str:
    """A code version that changes with what the YAML says, so that Dagster shows a changed subset as stale."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
