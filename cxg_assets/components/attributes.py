"""The attributes of a subset's YAML.

Their descriptions, examples and limits are given here once: the commented YAML of a new subset, the JSON schema for
editors, the parameters of the scaffold and Dagster's own documentation of the component are made from them.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import dagster as dg
from pydantic import Field, InstanceOf, WithJsonSchema, field_validator, model_validator

from cxg_assets import settings
from cxg_assets.components.beside_the_yaml import beside_the_yaml
from cxg_assets.components.defs_folder import name_of_member
from cxg_assets.components.gene_attributes import Genes, HighlyVariableAttributes
from cxg_assets.components.parts.choices import SampleAttributes, SplitAttributes
from cxg_assets.components.quality_attributes import QualityAttributes
from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.formats import FORMATS
from cxg_assets.ingest.sampling import Order
from cxg_assets.ingest.selection.list_files import read_lists
from cxg_assets.ingest.spec import DEFAULT_OBS_COLUMNS, NAME_PATTERN, SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.ingest.storage.url import as_url
from cxg_assets.ingest.value_lists import Lists
from cxg_assets.ingest.x_layers import placed
from cxg_assets.ui.descriptions import OwnersAndTags


@dataclass(frozen=True)
class ObsFilter:
    """A filter over obs, and the values of the files that it names."""

    text: str
    lists: Lists


def _obs_filter(context: dg.ResolutionContext, text: str | None) -> ObsFilter | None:
    if text is None:
        return None
    text = context.resolve_value(text, as_type=str)
    return ObsFilter(text, read_lists(text, lambda name: Path(beside_the_yaml(context, name, "value_filter"))))


class SubsetAttributes(dg.Model, dg.Resolvable):
    """What a subset's YAML says. The engine checks it here, so that a wrong value is reported with its line."""

    name: str = Field(
        description="Name of the asset group and of the folder at the destination. Must be the name of this file's "
        "folder.",
        json_schema_extra={"pattern": f"^{NAME_PATTERN}$"},
    )
    organism: str | None = Field(
        default=None,
        description="Organism as the Census spells it: homo_sapiens, mus_musculus …",
        examples=["homo_sapiens", "mus_musculus"],
        json_schema_extra={"pattern": f"^{NAME_PATTERN}$"},
    )
    organisms: list[str] = Field(
        default=[],
        description="Instead of organism: several, of which each makes a subset <name>_<organism>.",
        examples=[["homo_sapiens", "mus_musculus"]],
    )
    modality: Literal["census_data", "census_spatial_sequencing"] = Field(
        default="census_data",
        description="What is measured: census_data (cells) or census_spatial_sequencing (spots of sections, with their "
        "places in obsm['spatial']).",
        examples=["census_spatial_sequencing"],
    )
    value_filter: Annotated[
        InstanceOf[ObsFilter] | None,
        dg.Resolver(_obs_filter, model_field_type=str | None),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "null"}]}),
    ] = Field(
        default=None,
        description="Cells: SOMA filter over obs; file('name.txt') in place of a list is a file beside this one with "
        "a value on each line. null: every cell.",
    )
    obs_columns: list[str] = Field(
        default=list(DEFAULT_OBS_COLUMNS), description="obs columns of the chunks, after soma_joinid."
    )
    genes: Genes | None = Field(
        default=None, description="Genes: a vocabulary, or a list, filters or both. Default: every gene."
    )
    max_obs: int | None = Field(
        default=None,
        description="Limit to the first N cells, to try a subset quickly. null: all.",
        json_schema_extra={"minimum": 1},
    )
    quality: QualityAttributes | None = Field(
        default=None,
        description="Quality: further obs columns from the counts of the cells that pass, and which of the cells are "
        "kept. Default: none and all.",
    )
    sample: SampleAttributes | None = Field(
        default=None, description="Sample: which of the cells that pass are kept. Default: all."
    )
    split: SplitAttributes | None = Field(
        default=None,
        description="Split: into which parts the cells are divided; each chunk is of one part. Default: one whole.",
    )
    order: Literal["census", "shuffled", "fully_shuffled"] = Field(
        default="census",
        description="Order of the cells, within a part: census (by soma_joinid), shuffled (random tiles of the "
        "Census, mixed in memory) or fully_shuffled (any permutation, by a second pass over files at the destination).",
    )
    seed: int = Field(default=0, description="Decides the order of shuffled cells.", json_schema_extra={"minimum": 0})
    layer: Literal["raw", "normalized"] = Field(default="raw", description="X layer of the Census: raw or normalized.")
    layers: dict[str, str] = Field(
        default={},
        description="Instead of layer: several, each with its place, of which one is X.",
        examples=[{"raw": "X", "normalized": "layers/normalized"}],
    )
    obs_embeddings: list[str] = Field(
        default=[],
        description="Embeddings that the Census hosts for the release, into obsm; cells without one get NaN.",
        examples=[["scvi", "tf-sapiens"]],
    )
    obsm_layers: list[str] = Field(
        default=[],
        description="Arrays in obsm of the release itself, as older releases have embeddings.",
        examples=[["scvi"]],
    )
    chunk_size: int | None = Field(
        default=None,
        description="Cells per file, that is per partition. Default: 10,000, and 65,536 of zarr.",
        json_schema_extra={"minimum": 1},
    )
    format: Literal["h5ad", "zarr"] = Field(
        default="h5ad",
        description="Format of the chunks: h5ad files, or zarr, the datasets of a collection that annbatch loads.",
    )
    compression: Literal["gzip", "lzf", "zstd", "lz4", "none"] | None = Field(
        default=None,
        description="Compression of the arrays. Of h5ad: gzip, lzf, zstd (needs hdf5plugin in every reader) or none; "
        "of zarr: lz4, zstd or none. Default: gzip, and lz4 of zarr.",
    )
    genes_text: Literal["variable", "fixed"] = Field(
        default="variable",
        description="Text of var: variable length, as the h5ad specification says, or fixed, which makes small files a "
        "third as large and is read by anndata, h5py and R all the same.",
    )
    destination: str = Field(
        default="",
        description="s3://bucket/prefix or a folder; a relative path starts at the project's folder. Empty: the "
        "default store.",
        json_schema_extra={"pattern": "^(s3://.+|file:///.+)?$"},
    )
    exports: list[Literal["parquet"]] = Field(
        default=[],
        description="Further formats of the published dataset, an asset each: parquet (a row a cell, with a dataset "
        "card for Hugging Face). It is made when it is materialized.",
        examples=[["parquet"]],
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
        self.specs()
        self.owners_and_tags()
        if self.destination:
            StoreLocator(url=self.destination)
        return self

    def specs(self) -> list[SubsetSpec]:
        """The engine's value of each subset that is declared: one, or with `organisms` one of each of them.

        Raises:
            BadInput: An attribute has a value that it cannot have.
        """
        if self.organism is not None and self.organisms:
            raise BadInput("organisms: give organism or organisms, not both; take one out")
        if self.organism is not None:
            return [self._spec(self.name, self.organism)]
        if not self.organisms:
            raise BadInput("organism: it is missing; every subset has one, or organisms, a list of several")
        repeated = [organism for organism in self.organisms if self.organisms.count(organism) > 1]
        if repeated:
            raise BadInput(f"organisms: {shown(repeated[0])} is listed twice")
        return [self._spec(name_of_member(self.name, organism), organism) for organism in self.organisms]

    def _spec(self, name: str, organism: str) -> SubsetSpec:
        layer, further_layers = placed(self.layers) if self.layers else (self.layer, {})
        if self.layers and "layer" in self.model_fields_set:
            raise BadInput("layers: give layer or layers, not both; take one out")
        names = [field.name for field in dataclasses.fields(SubsetSpec)]
        values: dict[str, Any] = {name: getattr(self, name, None) for name in names}
        own = {
            "value_filter": None if self.value_filter is None else self.value_filter.text,
            "lists": {} if self.value_filter is None else self.value_filter.lists,
            "obs_columns": tuple(self.obs_columns),
            "name": name,
            "organism": organism,
            "genes": None if self.genes is None else self.genes.selection(organism),
            "quality": None if self.quality is None else self.quality.quality(),
            "sample": None if self.sample is None else self.sample.sample(),
            "split": None if self.split is None else self.split.split(),
            "order": Order(kind=self.order, seed=self.seed),
            "layer": layer,
            "further_layers": further_layers,
            "obs_embeddings": tuple(self.obs_embeddings),
            "obsm_layers": tuple(self.obsm_layers),
            "chunk_size": FORMATS[self.format].chunk_size if self.chunk_size is None else self.chunk_size,
            "compression": self.compression or "",
        }
        return SubsetSpec(**values | own)

    def owners_and_tags(self) -> OwnersAndTags:
        """Owners and tags; raises BadInput where Dagster would not take one of them."""
        return OwnersAndTags(owners=tuple(self.owners), tags=dict(self.tags))


PARTS: dict[str, type[dg.Model]] = {
    "genes": Genes,
    "highly_variable": HighlyVariableAttributes,
    "quality": QualityAttributes,
    "sample": SampleAttributes,
    "split": SplitAttributes,
}
"""The attributes that have attributes of their own; also those that are such attributes."""


def description_of(attribute: str) -> str:
    """What an attribute means."""
    return SubsetAttributes.model_fields[attribute].description or ""
