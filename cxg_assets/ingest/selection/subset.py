"""The filtered subset: the cells of an index and the genes of var that a spec selects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.census.scenes import Scene
from cxg_assets.ingest.filters.label_traps import gene_name_warnings
from cxg_assets.ingest.gene_selection import genes_in_words
from cxg_assets.ingest.genes.names import N_NAMED
from cxg_assets.ingest.genes.of_cells import genes_of_cells, require_obs_of
from cxg_assets.ingest.genes.select import parse_gene_filter, select_genes
from cxg_assets.ingest.genes.vocabulary import padded_genes, padding_warnings
from cxg_assets.ingest.layout import index_path, subset_json_path, subset_obs_path, subset_var_path
from cxg_assets.ingest.quality.checked import check_quality, column_fields
from cxg_assets.ingest.records import decode, encode
from cxg_assets.ingest.selection.categories import find_recodings, recoded
from cxg_assets.ingest.selection.choices import (
    QualityCounts,
    SampledFrom,
    batches_of,
    kept_rows,
    part_field,
    require_columns_of,
    sampled_rows,
    split_rows,
    with_parts,
)
from cxg_assets.ingest.selection.index import CensusIndex
from cxg_assets.ingest.selection.obs_rows import first_of, parse_obs_filter, selected_rows, take_rows
from cxg_assets.ingest.selection.places import place_fields, spots_of, with_places
from cxg_assets.ingest.selection.selection import Selection
from cxg_assets.ingest.selection.subset_fingerprint import subset_fingerprint
from cxg_assets.ingest.spec import SPATIAL, SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, feather_source, write_feather
from cxg_assets.ingest.storage.scratch import scratch_folder
from cxg_assets.ingest.storage.store import Store

PLANNING_COLUMNS = ("nnz", "dataset_id")
"""Columns carried in the subset besides the spec's: nnz sizes spans, dataset_id makes the citations."""

ROWS_PER_BATCH = 16_384
"""Of a subset's obs. A worker reads whole batches: with larger ones most of what it reads would be of other spans."""


@dataclass(frozen=True, kw_only=True)
class Subset:
    """What was selected: all that is known of a subset's two files; stored beside them as JSON.

    Attributes:
        name: Names the asset group and the folder at the destination.
        release: The build of the Census.
        selection: What selected its cells and genes.
        fingerprint: SHA-256 (hex) over everything that decides the two files.
        n_obs: Cells that passed.
        n_obs_before: Cells of the index; 0 in plans of before they held their subset.
        n_vars: Genes that passed.
        n_vars_before: Genes of var; 0 like `n_obs_before`.
        layers: URIs of all X layers of the organism, by name: a plan may take any.
        n_padded: Genes of a vocabulary, among `n_vars`, that the Census does not have: they are zero in X.
        padded: feature_ids of the first `N_NAMED` of them.
        quality: How many cells the quality left out; None without one.
        sampled: What the sample was taken from; None without one.
        parts: Cells of each part of the split, in its order; empty without one.
        scenes: What the Census tells of the sections that its spots are on, by scene id; of cells empty.
    """

    name: str
    release: Release
    selection: Selection
    fingerprint: str
    n_obs: int
    n_obs_before: int
    n_vars: int
    n_vars_before: int
    layers: dict[str, str]
    n_padded: int = 0
    padded: tuple[str, ...] = ()
    quality: QualityCounts | None = None
    sampled: SampledFrom | None = None
    parts: Mapping[str, int] = field(default_factory=dict)
    scenes: Mapping[str, Scene] = field(default_factory=dict)

    @property
    def genes_in_words(self) -> str:
        """Its genes as chunks and cards tell them."""
        return genes_in_words(self.selection.genes, self.n_vars, self.n_padded)

    def n_chunks(self, chunk_size: int) -> int:
        """How many chunks of so many cells it makes; each part ends with one of its own."""
        return sum(-(-n_obs // chunk_size) for n_obs in self.parts.values() or [self.n_obs])


def subset_columns(selection: Selection, schema: pa.Schema) -> list[str]:
    """Columns of a subset's obs file that are the census index's, whose schema is given.

    Besides those of the chunks: what planning needs, and what a split goes by, so that it can be checked.
    """
    split = () if selection.split is None else selection.split.columns
    planning = [name for name in PLANNING_COLUMNS if name in schema.names]
    return list(dict.fromkeys(["soma_joinid", *selection.obs_columns, *planning, *split]))


def subset_schema(selection: Selection, schema: pa.Schema) -> pa.Schema:
    """Schema of a subset's obs file, of a census index whose schema is given."""
    own = [*column_fields(selection.quality), *([] if selection.split is None else [part_field()])]
    own += place_fields() if selection.modality == SPATIAL else []
    return pa.schema([*(schema.field(name) for name in subset_columns(selection, schema)), *own])


def write_subset(
    spec: SubsetSpec,
    index: CensusIndex,
    index_source: FeatherSource,
    var: pa.Table,
    layers: dict[str, str],
    obs_path: Path,
    var_path: Path,
    warn: Callable[[str], None] | None = None,
    census: CensusLocator | None = None,
) -> Subset:
    """Filters an index and var into the subset's two feather files, batch by batch.

    Args:
        spec: The subset.
        index: What is known of the census index of the spec's organism.
        index_source: Its file.
        var: All genes of the organism.
        layers: URIs of the X layers of the organism, by name.
        obs_path: Written: soma_joinid, the spec's obs columns, `PLANNING_COLUMNS`, those of the quality and the part
            of a split, in soma_joinid order. Dictionaries have the values of these cells and no others, sorted.
        var_path: Written: all var columns of the genes that are kept, in var's order or that of a vocabulary.
        warn: Told of labels that the filters overlook, see `label_traps`, of genes that are padded, and of shares that
            groups do not allow.
        census: Where the Census is, for a quality with columns, for genes that the cells decide, and for spots.

    Raises:
        BadInput: The spec does not fit this Census, or selects no cell or no gene, or leaves a part without a cell.
    """
    genes = select_genes(var, spec.genes)
    with FeatherFile(index_source) as file:
        schema = file.schema
    value_filter = parse_obs_filter(spec.value_filter, spec.obs_columns, schema, lists=spec.lists)
    require_columns_of(spec, schema)
    quality = None if spec.quality is None else check_quality(spec.quality, schema, var)
    require_obs_of(spec.genes, schema.names)
    limit = spec.max_obs if spec.sample is None else None
    rows, warnings = selected_rows(index_source, value_filter, limit, spec.experiment)
    kept = sampled = None
    if quality is not None:
        rows, kept = kept_rows(quality, index_source, rows, var, layers, census, index.release)
    if spec.sample is not None:
        rows, sampled = sampled_rows(spec.sample, index_source, rows)
        rows = first_of(rows, spec.max_obs)
    split = None if spec.split is None else split_rows(spec.split, index_source, rows)
    if split is not None and (warning := split.warning()):
        warnings = [*warnings, warning]
    cells = partial(batches_of, index_source, rows)
    genes = genes_of_cells(genes, spec.genes, spec.experiment, cells, census, layers)
    if warn is not None:
        for warning in (*warnings, *gene_name_warnings(spec.genes, var, genes), *padding_warnings(genes)):
            warn(warning)
    selection = Selection.of(spec, value_filter, parse_gene_filter(spec.genes, var.schema), quality)
    columns = subset_columns(selection, schema)
    padded = padded_genes(genes)
    spots = None
    if spec.modality == SPATIAL:
        assert census is not None  # who asks for spots says where their scenes are
        spots = spots_of(index_source, rows, spec.experiment, census)
    subset = Subset(
        name=spec.name,
        release=index.release,
        selection=selection,
        fingerprint=subset_fingerprint(selection, index.release, genes, columns),
        n_obs=sum(len(positions) for positions in rows),
        n_obs_before=index.n_obs,
        n_vars=genes.num_rows,
        n_vars_before=var.num_rows,
        layers=layers,
        n_padded=len(padded),
        padded=tuple(padded[:N_NAMED]),
        quality=None if kept is None else QualityCounts.of(kept),
        sampled=sampled,
        parts={} if split is None else split.n_obs_of_parts,
        scenes={} if spots is None else spots.scenes,
    )
    with FeatherFile(index_source, columns=columns) as file:
        batches = recoded(take_rows(file, rows, columns), find_recodings(index_source, rows, columns))
        if kept is not None:
            batches = kept.added_to(batches)
        if split is not None:
            batches = with_parts(batches, split)
        if spots is not None:
            batches = with_places(batches, spots)
        write_feather(obs_path, batches, subset_schema(selection, schema), ROWS_PER_BATCH)
    write_feather(var_path, genes.to_batches(), genes.schema)
    return subset


def make_subset(
    spec: SubsetSpec,
    index: CensusIndex,
    index_store: Store,
    census: CensusLocator,
    store: Store,
    warn: Callable[[str], None] | None = None,
) -> Subset:
    """Filters an index into a subset at the destination.

    Args:
        spec: The subset.
        index: The census index of its organism.
        index_store: Where the index is.
        census: Where the release is; of X and the presence matrix only what quality and genes need is read.
        store: The destination.
        warn: Told of what `write_subset` warns of.

    Raises:
        BadInput: The spec does not fit this Census, or selects nothing.
    """
    with census.open() as opened:
        var, layers = opened.var(spec.experiment), opened.layers(spec.experiment)
    with scratch_folder() as folder:
        obs_file, var_file = folder / "obs.feather", folder / "var.feather"
        index_source = feather_source(index_store, index_path(index.release.version, spec.experiment))
        subset = write_subset(spec, index, index_source, var, layers, obs_file, var_file, warn, census)
        store.put(subset_obs_path(spec.name, subset.fingerprint), obs_file)
        store.put(subset_var_path(spec.name, subset.fingerprint), var_file)
    store.put(subset_json_path(spec.name, subset.fingerprint), encode(subset))
    return subset


def load_subset(store: Store, subset_name: str, fingerprint: str) -> Subset:
    """What is known of a subset that was made.

    Raises:
        FileNotFoundError: It was not.
        WrongRecord: Another version of this program made it.
    """
    path = subset_json_path(subset_name, fingerprint)
    return decode(
        Subset,
        store.get(path),
        path=store.uri(path),
        remedy="materialize filtered_subset again",
        upgrade=lambda fields: {"name": subset_name} | fields,  # it was in the path alone
    )
