"""The attributes of a subset's YAML.

Their descriptions, examples and limits are given here once: the commented YAML of a new subset, the JSON schema for
editors, the parameters of the scaffold and Dagster's own documentation of the component are made from them.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import dagster as dg
from pydantic import Field, field_validator, model_validator

from cxg_assets import settings
from cxg_assets.ingest.errors import BadInput, shown, shown_text
from cxg_assets.ingest.selection.gene_file import read_gene_file
from cxg_assets.ingest.spec import DEFAULT_CHUNK_SIZE, DEFAULT_OBS_COLUMNS, NAME_PATTERN, GeneSelection, SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.ingest.storage.url import as_url
from cxg_assets.ui.descriptions import OwnersAndTags


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

    value_filter: str | None = Field(
        default=None, description="SOMA filter over var.", examples=["n_measured_obs >= 10 and nnz >= 10"]
    )
    feature_ids: list[str] | None = Field(
        default=None,
        description="List of Ensembl ids as in var, without version.",
        examples=[["ENSG00000167286", "ENSG00000090382"]],
    )
    file: Annotated[str | None, dg.Resolver(_beside_the_yaml, model_field_type=str)] = Field(
        default=None,
        description="Instead of feature_ids: a text file with a feature_id on each line, or a CSV file with a column "
        "feature_id, in the folder of the YAML file or below.",
        examples=["genes.txt"],
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


class SubsetAttributes(dg.Model, dg.Resolvable):
    """What a subset's YAML says. The engine checks it here, so that a wrong value is reported with its line."""

    name: str = Field(
        description="Name of the asset group and of the folder at the destination. Must be the name of this file's "
        "folder.",
        json_schema_extra={"pattern": f"^{NAME_PATTERN}$"},
    )
    organism: str = Field(
        description="Organism as the Census spells it: homo_sapiens, mus_musculus …",
        examples=["homo_sapiens", "mus_musculus"],
        json_schema_extra={"pattern": f"^{NAME_PATTERN}$"},
    )
    value_filter: str | None = Field(default=None, description="Cells: SOMA filter over obs. null: every cell.")
    obs_columns: list[str] = Field(
        default=list(DEFAULT_OBS_COLUMNS), description="obs columns of the chunks, after soma_joinid."
    )
    genes: Genes | None = Field(
        default=None, description="Genes: a filter over var, a list, or both. Default: every gene."
    )
    max_obs: int | None = Field(
        default=None,
        description="Limit to the first N cells, to try a subset quickly. null: all.",
        json_schema_extra={"minimum": 1},
    )
    layer: Literal["raw", "normalized"] = Field(default="raw", description="X layer of the Census: raw or normalized.")
    chunk_size: int = Field(
        default=DEFAULT_CHUNK_SIZE,
        description="Cells per file, that is per partition.",
        json_schema_extra={"minimum": 1},
    )
    compression: Literal["gzip", "lzf", "zstd", "none"] = Field(
        default="gzip",
        description="Compression of the arrays: gzip, lzf, zstd or none. zstd needs hdf5plugin in every reader.",
    )
    destination: str = Field(
        default="",
        description="s3://bucket/prefix or a folder; a relative path starts at the project's folder. Empty: the "
        "default store.",
        json_schema_extra={"pattern": "^(s3://.+|file:///.+)?$"},
    )
    owners: list[str] = Field(
        default=[],
        description="Owners, shown in the Dagster UI: e-mail addresses, and teams as team:name.",
        examples=[["me@example.org", "team:atlas"]],
    )
    tags: dict[str, str] = Field(
        default={},
        description="Tags of the subset's assets and runs, to search for in the Dagster UI.",
        examples=[{"project": "atlas"}],
    )

    @field_validator("destination")
    @classmethod
    def _as_url(cls, destination: str) -> str:
        return as_url(destination, settings.project())

    @model_validator(mode="after")
    def _is_a_subset(self) -> "SubsetAttributes":
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
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(SubsetSpec)}
        genes = None if self.genes is None else self.genes.selection()
        return SubsetSpec(**values | {"obs_columns": tuple(self.obs_columns), "genes": genes})

    def owners_and_tags(self) -> OwnersAndTags:
        """Owners and tags; raises BadInput where Dagster would not take one of them."""
        return OwnersAndTags(owners=tuple(self.owners), tags=dict(self.tags))


def description_of(attribute: str) -> str:
    """What an attribute means."""
    return SubsetAttributes.model_fields[attribute].description or ""
