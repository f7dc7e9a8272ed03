"""Which rows of a census index a filter over obs selects, and these rows."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.errors import BadInput, shown, shown_names
from cxg_assets.ingest.filters.value_filter import ValueFilter, parse_filter
from cxg_assets.ingest.filters.watch import FilterWatch
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource
from cxg_assets.ingest.value_lists import Lists

Rows: TypeAlias = list[np.ndarray]
"""For each batch of an index the positions (int32) of rows in it."""


def parse_obs_filter(
    value_filter: str | None,
    columns: Sequence[str],
    schema: pa.Schema,
    *,
    lists: Lists | None = None,
    attribute: str = "obs_columns",
) -> ValueFilter | None:
    """Checks a filter and a choice of columns against the obs columns that exist.

    Args:
        value_filter: SOMA filter over obs; None keeps every cell.
        columns: Columns to keep.
        schema: Schema of obs.
        lists: The values of the files that the filter names.
        attribute: What the user calls the columns, for the message.

    Raises:
        BadInput: The filter does not parse, or it or `columns` name a column that obs does not have.
    """
    unknown = [column for column in columns if column not in schema.names]
    if unknown:
        raise BadInput(f"{attribute}: obs has no {shown_names(unknown)}; it has {', '.join(schema.names)}")
    return None if value_filter is None else parse_filter(value_filter, schema, lists=lists)


def selected_rows(
    index_source: FeatherSource, value_filter: ValueFilter | None, max_obs: int | None, organism: str = ""
) -> tuple[Rows, list[str]]:
    """For each batch of the index the positions (int32) that pass, at most max_obs in all; and what is overlooked.

    Only the filter's columns are decoded here, and `take_rows` skips batches without a hit.

    Raises:
        BadInput: No cell passes the filter.
    """
    if value_filter is None:
        return _first_rows(index_source, max_obs), []
    columns = tuple(value_filter.columns)
    watch = FilterWatch(value_filter)
    left = max_obs
    rows: Rows = []
    with FeatherFile(index_source, columns=columns) as file, contextlib.closing(file.batches()) as batches:
        for batch in batches:
            positions = np.flatnonzero(np.asarray(value_filter.mask(batch))).astype(np.int32)
            watch.see(batch, len(positions))
            if left is not None:
                positions = positions[:left]
                left -= len(positions)
            rows.append(positions)
            if left == 0:
                break
    if not any(len(positions) for positions in rows):
        raise nothing_selected(value_filter, watch, organism)
    return rows, watch.warnings(is_whole=left != 0)


def _first_rows(index_source: FeatherSource, max_obs: int | None) -> Rows:
    """For each batch of the index the positions (int32) of its rows, at most max_obs in all; no batch is read."""
    with FeatherFile(index_source) as file:
        size, n_rows = file.rows_per_batch, file.n_rows
    wanted = n_rows if max_obs is None else min(max_obs, n_rows)
    return [np.arange(min(size, wanted - start), dtype=np.int32) for start in range(0, wanted, size)] if wanted else []


def first_of(rows: Rows, max_obs: int | None) -> Rows:
    """The first so many of rows, or all."""
    kept: Rows = []
    for positions in rows:
        kept.append(positions[:max_obs])
        if max_obs is not None:
            max_obs -= len(kept[-1])
    return kept


def take_rows(file: FeatherFile, rows: Rows, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Those rows, batch by batch, as `selected_rows` gave them; batches without one are not read."""
    hits = [number for number, positions in enumerate(rows) if len(positions)]
    with contextlib.closing(file.batches(hits)) as batches:
        for number, batch in zip(hits, batches, strict=True):
            yield batch.select(columns).take(pa.array(rows[number]))


def nothing_selected(value_filter: ValueFilter, watch: FilterWatch, organism: str = "") -> BadInput:
    """The error of a filter that no cell passes.

    Args:
        value_filter: The filter.
        watch: What it met.
        organism: Whose cells they are.
    """
    cells = f"no cell of {watch.n_rows:,} {organism} cells".replace("  ", " ")
    return BadInput(f"value_filter: {cells} passes {shown(value_filter.text)}; {watch.why_nothing('cell')}")
