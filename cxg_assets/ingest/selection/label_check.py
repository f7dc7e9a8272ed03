"""Looks at the labels that a filter asks for without applying it: at dictionaries, which are small, and not at rows."""

from pathlib import Path

import pyarrow as pa

from cxg_assets.ingest.census.census import Census, CensusLocator
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.filters.label_traps import gene_name_warnings
from cxg_assets.ingest.filters.value_filter import ValueFilter, parse_filter
from cxg_assets.ingest.filters.watch import FilterWatch
from cxg_assets.ingest.genes.select import select_genes
from cxg_assets.ingest.genes.vocabulary import padding_warnings
from cxg_assets.ingest.layout import INDEX_FOLDER, index_path
from cxg_assets.ingest.selection.index import CensusIndex, read_index
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, feather_source
from cxg_assets.ingest.storage.store import Store


def newest_index(store: Store, experiment: str) -> CensusIndex | None:
    """What is known of the index of the newest build that a store has of an experiment; None if it has none.

    Args:
        store: The default store.
        experiment: By the name that `spec.experiment_name` gives it.
    """
    paths = [path for path in store.sizes(INDEX_FOLDER) if path.endswith(f"/{experiment}.json")]
    indexes = [read_index(store, path) for path in paths]
    return max(indexes, key=lambda index: (index.release.build, index.release.timestamp_ms), default=None)


def overlooked_labels(
    spec: SubsetSpec, census: CensusLocator, release: Release, index_store: Store | None
) -> list[str]:
    """What the filters of a subset overlook, a line for each, before its subset is made.

    Args:
        spec: The subset; it fits the Census.
        census: Where the Census is.
        release: Its build.
        index_store: With an index of the release in it, where it is a folder, the cells are counted.
    """
    with census.open() as opened:
        var = opened.var(spec.experiment)
        genes = select_genes(var, spec.genes)
        warnings = gene_name_warnings(spec.genes, var, genes) + padding_warnings(genes)
        if spec.value_filter is None:
            return warnings
        value_filter = parse_filter(spec.value_filter, opened.obs(spec.experiment).schema, lists=spec.lists)
        path = index_path(release.version, spec.experiment)
        if index_store is not None and index_store.folder is not None and index_store.exists(path):
            watch = look_at_index(feather_source(index_store, path), value_filter)
        else:
            watch = look_at_census(opened, spec.experiment, value_filter)
    return watch.warnings() + warnings


def look_at_index(index_source: FeatherSource, value_filter: ValueFilter) -> FilterWatch:
    """The labels of a census index, from its dictionaries.

    Rows are read only to count compound values that the filter overlooks, and only of a local file: of S3 it would be
    the column of all cells, for a warning.

    Args:
        index_source: A census index.
        value_filter: Checked against its schema.
    """
    watch = FilterWatch(value_filter)
    with FeatherFile(index_source, columns=value_filter.columns) as file:
        if file.n_batches:
            watch.look_at(file.batch(0).slice(0, 0))
    if watch.counted_columns and isinstance(index_source, Path):
        with FeatherFile(index_source, columns=watch.counted_columns) as file:
            for batch in file.batches():
                watch.look_at(batch)
    return watch


def look_at_census(census: Census, experiment: str, value_filter: ValueFilter) -> FilterWatch:
    """The labels of obs in a Census; no row is read.

    Args:
        census: Open.
        experiment: By the name that `spec.experiment_name` gives it.
        value_filter: Checked against the schema of its obs.
    """
    watch = FilterWatch(value_filter)
    obs = census.obs(experiment)
    columns = [name for name in value_filter.columns if isinstance(obs.schema.field(name).type, pa.DictionaryType)]
    if columns:
        labels = obs.get_enumeration_values(columns)
        empty = pa.array([], pa.int32())
        arrays = [pa.DictionaryArray.from_arrays(empty, labels[name]) for name in columns]
        watch.look_at(pa.RecordBatch.from_arrays(arrays, columns))
    return watch
