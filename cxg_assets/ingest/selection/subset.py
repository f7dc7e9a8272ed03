"""The filtered subset: the cells of an index and the genes of var that a spec selects."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.layout import index_path, subset_json_path, subset_obs_path, subset_var_path
from cxg_assets.ingest.records import decode, encode
from cxg_assets.ingest.selection.genes import parse_gene_filter, select_genes
from cxg_assets.ingest.selection.index import CensusIndex
from cxg_assets.ingest.selection.label_traps import gene_name_warnings
from cxg_assets.ingest.selection.obs_rows import parse_obs_filter, selected_rows, take_rows
from cxg_assets.ingest.selection.selection import Selection
from cxg_assets.ingest.spec import SubsetSpec
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


def subset_columns(obs_columns: Sequence[str], schema: pa.Schema) -> list[str]:
    """Columns of a subset's obs file.

    Args:
        obs_columns: obs columns of its chunks.
        schema: Schema of the census index.
    """
    planning = [name for name in PLANNING_COLUMNS if name in schema.names and name not in obs_columns]
    return ["soma_joinid", *obs_columns, *planning]


def write_subset(
    spec: SubsetSpec,
    index: CensusIndex,
    index_source: FeatherSource,
    var: pa.Table,
    layers: dict[str, str],
    obs_path: Path,
    var_path: Path,
    warn: Callable[[str], None] | None = None,
) -> Subset:
    """Filters an index and var into the subset's two feather files, batch by batch.

    Args:
        spec: The subset.
        index: What is known of the census index of the spec's organism.
        index_source: Its file.
        var: All genes of the organism.
        layers: URIs of the X layers of the organism, by name.
        obs_path: Written: soma_joinid, the spec's obs columns and `PLANNING_COLUMNS`, in soma_joinid order.
        var_path: Written: all var columns of the genes that are kept, in var's order.
        warn: Told of labels that the filters overlook, see `label_traps`.

    Raises:
        BadInput: The spec does not fit this Census, or selects no cell or no gene.
    """
    genes = select_genes(var, spec.genes)
    with FeatherFile(index_source) as file:
        schema = file.schema
    value_filter = parse_obs_filter(spec.value_filter, spec.obs_columns, schema)
    rows, warnings = selected_rows(index_source, value_filter, spec.max_obs, spec.organism)
    n_obs = sum(len(positions) for positions in rows)
    if warn is not None:
        for warning in (*warnings, *gene_name_warnings(spec.genes, var, genes)):
            warn(warning)
    selection = Selection.of(spec, value_filter, parse_gene_filter(spec.genes, var.schema))
    columns = subset_columns(selection.obs_columns, schema)
    subset = Subset(
        name=spec.name,
        release=index.release,
        selection=selection,
        fingerprint=_fingerprint(selection, index.release, genes, columns),
        n_obs=n_obs,
        n_obs_before=index.n_obs,
        n_vars=genes.num_rows,
        n_vars_before=var.num_rows,
        layers=layers,
    )
    with FeatherFile(index_source, columns=columns) as file:
        selected_schema = pa.schema([schema.field(name) for name in columns])
        write_feather(obs_path, take_rows(file, rows, columns), selected_schema, ROWS_PER_BATCH)
    write_feather(var_path, genes.to_batches(), genes.schema)
    return subset


def export_index(
    index_source: FeatherSource,
    value_filter: str | None,
    columns: Sequence[str] | None,
    output: Path,
    warn: Callable[[str], None] | None = None,
) -> int:
    """Copies a part of a census index to a feather file of one's own; the file appears when it is whole.

    Args:
        index_source: A census index.
        value_filter: SOMA filter over obs; None keeps every cell.
        columns: Columns in order; None keeps all.
        output: Written.
        warn: Told of labels that the filter overlooks, see `label_traps`.

    Raises:
        BadInput: The filter is wrong or selects no cell, a column does not exist, or the output cannot be written.

    Returns:
        Rows written.
    """
    with FeatherFile(index_source) as file:
        schema = file.schema
    parsed = parse_obs_filter(value_filter, columns or (), schema, attribute="columns")
    rows, warnings = selected_rows(index_source, parsed, None)
    if warn is not None:
        for warning in warnings:
            warn(warning)
    names = list(columns or schema.names)
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with FeatherFile(index_source, columns=names) as file:
            n_obs = write_feather(unfinished, take_rows(file, rows, names), pa.schema([schema.field(n) for n in names]))
        unfinished.replace(output)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise BadInput(f"output: {output} cannot be written: {error}") from error
    return n_obs


def _fingerprint(selection: Selection, release: Release, genes: pa.Table, columns: list[str]) -> str:
    inputs = {
        "release": release.fingerprint,
        "organism": selection.organism,
        "value_filter": selection.value_filter,
        "max_obs": selection.max_obs,
        "columns": columns,
        "feature_ids": genes["feature_id"].to_pylist(),
    }
    if selection.genes is not None:
        # Not only the genes that it kept: what chunks tell of their origin comes from the selection.
        inputs["genes"] = asdict(selection.genes)
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


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
        census: Where the release is; only var is read, and where the X layers are.
        store: The destination.
        warn: Told of labels that the filters overlook, see `label_traps`.

    Raises:
        BadInput: The spec does not fit this Census, or selects nothing.
    """
    with census.open() as opened:
        var, layers = opened.var(spec.organism), opened.layers(spec.organism)
    with scratch_folder() as folder:
        obs_file, var_file = folder / "obs.feather", folder / "var.feather"
        index_source = feather_source(index_store, index_path(index.release.version, spec.organism))
        subset = write_subset(spec, index, index_source, var, layers, obs_file, var_file, warn)
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
