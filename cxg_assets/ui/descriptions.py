"""What the UI says of each asset of a subset before it is made: in the subset's own words, from its YAML."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.formats import FORMATS
from cxg_assets.ingest.layout import dataset_path
from cxg_assets.ingest.sampling import CENSUS_ORDER
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.names import (
    chunk_plan_key,
    dataset_key,
    filtered_subset_key,
    h5ad_chunks_key,
    ingest_job_name,
    parquet_key,
)
from cxg_assets.ui.schemas import chunk_obs_schema, chunk_table_schema, place_metadata, same_columns

_OWNER = re.compile(r"team:.+|[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_TAG_KEY = re.compile(r"([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}")
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.-]{0,63}")
_SIGNS = "letters, digits, `_`, `-` and `.`, at most 63"


@dataclass(frozen=True, kw_only=True)
class OwnersAndTags:
    """Owners and tags of all assets of a subset, and tags of its runs.

    Raises:
        BadInput: Dagster would not take one of them.
    """

    owners: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for owner in self.owners:
            if not _OWNER.fullmatch(owner):
                raise BadInput(f"owners: {shown(owner)} is neither an e-mail address nor a team like team:cell-models")
        for name, value in self.tags.items():
            if not _TAG_KEY.fullmatch(name):
                raise BadInput(f"tags: {shown(name)} cannot be the name of a tag; use {_SIGNS}, and one `/` at most")
            if name.split("/")[0] == "dagster":
                raise BadInput(f"tags: {shown(name)} is one of Dagster's own tags; choose a name without dagster/")
            if not _TAG_VALUE.fullmatch(value):
                raise BadInput(f"tags: {name}: {shown(value)} cannot be the value of a tag; use {_SIGNS}")


def described(
    assets: Sequence[dg.AssetsDefinition], spec: SubsetSpec, destination: str, owners_and_tags: OwnersAndTags
) -> list[dg.AssetsDefinition]:
    """The assets of a subset with description, owners, tags, standard metadata and links to their code."""
    descriptions = _descriptions(spec, destination)
    metadata = _metadata(spec, destination)

    def explain(asset: dg.AssetSpec) -> dg.AssetSpec:
        told = asset.replace_attributes(description=descriptions[asset.key])
        return told.merge_attributes(
            owners=owners_and_tags.owners, tags=owners_and_tags.tags, metadata=metadata[asset.key]
        )

    linked = dg.with_source_code_references([asset.map_asset_specs(explain) for asset in assets])
    return [asset for asset in linked if isinstance(asset, dg.AssetsDefinition)]


def _descriptions(spec: SubsetSpec, destination: str) -> Mapping[dg.AssetKey, str]:
    cells = f"pass `{spec.value_filter}`" if spec.value_filter else "there are; no filter is given"
    limit = f" The first {spec.max_obs:,} of them are taken." if spec.max_obs is not None else ""
    quality = f"- **Quality**: {spec.quality.in_words}.\n" if spec.quality is not None else ""
    sample = f"- **Sample**: {spec.sample.in_words}.\n" if spec.sample is not None else ""
    split = f"- **Split**: {spec.split.in_words}.\n" if spec.split is not None else ""
    order = "soma_joinid" if spec.order.kind == CENSUS_ORDER else f"a seed ({spec.order.in_words})"
    parts = "part by part of the split, " if spec.split is not None else ""
    columns = ", ".join(f"`{name}`" for name in ("soma_joinid", *spec.chunk_columns))
    place = f"`{destination}`" if destination else "the default store (`CXG_STORE_URL`)"
    job = ingest_job_name(spec.name)
    # The UI's lists show the first line as it is, so it has no Markdown.
    button = "makes everything down to the published dataset: open it and press Materialize all.\n\n"
    button += f"[Open {job}](/guess/{job})"
    return {
        filtered_subset_key(spec.name): (
            f"The cells and genes of {spec.name}. The job {job} {button}\n\n"
            f"- **Cells**: all `{spec.experiment}` cells that {cells}.{limit}\n"
            f"{quality}{sample}{split}"
            f"- **Genes**: {_genes(spec)}.\n\n"
            f"Two feather files at {place}: obs with {columns}, and var of the genes. The filter is applied to the "
            "census index, not to the Census itself."
        ),
        chunk_plan_key(spec.name): (
            f"Which cells of {spec.name} go to which file. The job {job} {button}\n\n"
            f"{spec.chunk_size:,} cells per file, {parts}in the "
            f"order of {order}, with a fingerprint of everything that determines a file. One parquet row per chunk, "
            f"which becomes a partition of `{spec.name}/h5ad_chunks`."
        ),
        h5ad_chunks_key(spec.name): (
            f"The files of {spec.name}, a partition each. The job {job} {button}\n\n"
            f"{FORMATS[spec.format].of_chunk}s of {spec.chunk_size:,} cells at "
            f"{place}, each recorded the moment it is stored.\n\n"
            f"- **X**: layer `{spec.layers_in_words}`, {_genes(spec)}, compressed with {spec.compression}.\n"
            f"- **obs**: {columns}.\n{_obsm(spec)}"
            f"- **Checks**: those of the files are [checks of {spec.name}/dataset](/assets/{spec.name}/dataset?view="
            "checks): Dagster would skip them in a run that records its partitions one by one.\n\n"
            "This is what the YAML says now. The selection of the stored files is in the metadata of "
            f"`{spec.name}/chunk_plan` and in each file.\n\n"
            "A file holds what `cellxgene_census.get_anndata` returns for its cells and genes. What is stored is not "
            "written again. To write what is missing in one run, however scattered: job "
            f"[{spec.name}_missing_chunks](/guess/{spec.name}_missing_chunks)."
        ),
        dataset_key(spec.name): (
            f"The published dataset {spec.name}. The job {job} {button}\n\n"
            f"At {place}: manifest, dataset card, citations, and `dataset.json`, which "
            "points to them and is written last. What it holds and how to load it is below, under Metadata.\n\n"
            "It is published only when its blocking checks pass, and those of the index, subset and plan that it is "
            "made from. Until then the previous publication is kept. Materialize it again to run its checks again."
        ),
        parquet_key(spec.name): (
            f"The published dataset {spec.name} as Parquet, a row a cell: its genes and their values as two "
            f"lists, and obs.\n\nAt {place}: a file for each chunk, beside a vocabulary of the genes and a dataset "
            "card that Hugging Face's `datasets` reads.\n\n"
            "Each row is compared with its chunk before a file is stored; what is stored is not written again."
        ),
    }


def _metadata(spec: SubsetSpec, destination: str) -> Mapping[dg.AssetKey, Mapping[str, Any]]:
    subset = filtered_subset_key(spec.name)
    columns = ("soma_joinid", *spec.chunk_columns)
    return {
        subset: place_metadata(destination, f"{spec.name}/subset"),
        chunk_plan_key(spec.name): {
            "dagster/column_schema": chunk_table_schema(),
            **place_metadata(destination, spec.name),
        },
        h5ad_chunks_key(spec.name): {
            "dagster/column_schema": chunk_obs_schema(spec.chunk_columns),
            "dagster/column_lineage": same_columns(subset, columns),
            **place_metadata(destination, spec.name),
        },
        dataset_key(spec.name): place_metadata(destination, dataset_path(spec.name)),
        parquet_key(spec.name): place_metadata(destination, spec.name),
    }


def _obsm(spec: SubsetSpec) -> str:
    """What goes to obsm, as a line of the list; empty where nothing does."""
    return f"- **obsm**: {', '.join(spec.obsm_names)}, of the Census.\n" if spec.obsm_names else ""


def _genes(spec: SubsetSpec) -> str:
    """The gene selection as the YAML says it."""
    genes = spec.genes
    if genes is None:
        return "all genes"
    if genes.vocabulary is not None:
        return f"the {len(genes.vocabulary):,} genes of a vocabulary in its order"
    parts = (
        "" if genes.feature_ids is None else f"{len(genes.feature_ids):,} listed genes",
        "" if genes.value_filter is None else f"genes that pass `{genes.value_filter}`",
        f"genes of type {' or '.join(genes.feature_type)}" if genes.feature_type else "",
        "" if genes.measured_in is None else "genes that every dataset has measured",
        "" if genes.highly_variable is None else genes.highly_variable.in_words,
    )
    return " that are also ".join(part for part in parts if part)
