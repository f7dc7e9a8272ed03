"""The census index: all obs metadata of one experiment of a release, as one feather file."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from cxg_assets.ingest.census.census import Census, CensusLocator
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.census.repeated_cells import RepeatedCells
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.layout import index_json_path, index_path
from cxg_assets.ingest.records import decode, encode
from cxg_assets.ingest.selection.obs_rows import parse_obs_filter, selected_rows, take_rows
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, write_feather
from cxg_assets.ingest.storage.scratch import scratch_folder
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.value_lists import Lists


@dataclass(frozen=True, kw_only=True)
class CensusIndex:
    """What is known of an index file; stored beside it as JSON.

    Attributes:
        release: The build it was read from.
        organism: Name of the experiment, as `spec.experiment_name` gives it: of cells that of the organism.
        n_obs: Rows.
        n_bytes: Size of the file.
        columns: Columns of obs.
    """

    release: Release
    organism: str
    n_obs: int
    n_bytes: int
    columns: tuple[str, ...]


Progress = Callable[[int, int], object]
"""Told of how many rows are done, of how many."""


def write_index(
    census: Census, release: Release, experiment: str, path: Path, on_rows: Progress | None = None
) -> CensusIndex:
    """Streams obs from the Census to a feather file, in soma_joinid order.

    Memory: a few batches. To see whether a cell is there twice takes 8 bytes of temporary disk each.

    Dictionary columns stay dictionaries with all their categories, plain text stays plain text (older builds). The file
    says itself how many cells it has twice.

    Raises:
        BadInput: The Census has no such organism.
        CxgError: obs came back with another number of rows than the Census counts.
    """
    obs = census.obs(experiment)
    with contextlib.closing(RepeatedCells(obs.schema)) as cells:
        batches = cells.seen(census.obs_batches(experiment))
        told = batches if on_rows is None else _told(batches, obs.count, on_rows)
        n_obs = write_feather(path, told, obs.schema, note=cells.note)
    if n_obs != obs.count:
        raise CxgError(f"{experiment} obs of {census.uri} counts {obs.count:,} cells, but {n_obs:,} were read")
    return CensusIndex(
        release=release,
        organism=experiment,
        n_obs=n_obs,
        n_bytes=path.stat().st_size,
        columns=tuple(obs.schema.names),
    )


def _told(batches: Iterable[pa.RecordBatch], n_rows: int, on_rows: Progress) -> Iterator[pa.RecordBatch]:
    n_done = 0
    for batch in batches:
        yield batch
        n_done += len(batch)
        on_rows(n_done, n_rows)


def make_index(
    census: CensusLocator, release: Release, experiment: str, store: Store, on_rows: Progress | None = None
) -> CensusIndex:
    """Makes sure that a release's index is in the store.

    Args:
        census: Where the release is.
        release: Which it is.
        experiment: By the name that `spec.experiment_name` gives it.
        store: The default store.
        on_rows: Called after each batch of obs, where the index has to be made.

    Raises:
        BadInput: The Census has no such organism, or is another build now.
    """
    json_path = index_json_path(release.version, experiment)
    if store.exists(json_path):
        return read_index(store, json_path)
    with scratch_folder() as folder, census.open() as opened:
        file = folder / "index.feather"
        index = write_index(opened, release, experiment, file, on_rows)
        # Minutes may have passed, and whoever finds this index takes it for this release's.
        release.confirm(census)
        store.put(index_path(release.version, experiment), file)
    store.put(json_path, encode(index))
    return index


def as_indexed(release: Release, experiment: str, store: Store) -> Release:
    """The same release as of the time when its index was read, if there is one in the store.

    Whatever follows from an index is read as of its time: to open the Census at that time from the start is to open it
    once.

    Args:
        release: As it was read now.
        experiment: By the name that `spec.experiment_name` gives it.
        store: The default store.
    """
    json_path = index_json_path(release.version, experiment)
    if not store.exists(json_path):
        return release
    index = read_index(store, json_path)
    return replace(release, timestamp_ms=index.release.timestamp_ms)


def load_index(store: Store, release_version: str, experiment: str) -> CensusIndex:
    """What is known of an index that was made.

    Raises:
        FileNotFoundError: It was not.
    """
    return read_index(store, index_json_path(release_version, experiment))


def read_index(store: Store, json_path: str) -> CensusIndex:
    """What the JSON beside an index says.

    Raises:
        FileNotFoundError: It is not there.
        WrongRecord: Another version of this program made it.
    """
    remedy = "delete it and materialize census_index again"
    return decode(CensusIndex, store.get(json_path), path=store.uri(json_path), remedy=remedy)


def export_index(
    index_source: FeatherSource,
    value_filter: str | None,
    columns: Sequence[str] | None,
    output: Path,
    warn: Callable[[str], None] | None = None,
    *,
    lists: Lists | None = None,
) -> int:
    """Copies a part of a census index to a feather file of one's own; the file appears when it is whole.

    Args:
        index_source: A census index.
        value_filter: SOMA filter over obs; None keeps every cell.
        columns: Columns in order; None keeps all.
        output: Written.
        warn: Told of labels that the filter overlooks, see `label_traps`.
        lists: The values of the files that the filter names.

    Raises:
        BadInput: The filter is wrong or selects no cell, a column does not exist, or the output cannot be written.

    Returns:
        Rows written.
    """
    with FeatherFile(index_source) as file:
        schema = file.schema
    parsed = parse_obs_filter(value_filter, columns or (), schema, lists=lists, attribute="columns")
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
