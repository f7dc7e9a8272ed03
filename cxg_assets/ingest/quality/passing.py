"""Which cells a quality keeps, and what was computed of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.choice.groups import Groups
from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.metrics import Outliers
from cxg_assets.ingest.quality.checked import CheckedQuality
from cxg_assets.ingest.quality.measuring import columns_read, measure_cells
from cxg_assets.ingest.quality.outliers import is_outlier

if TYPE_CHECKING:
    import tiledbsoma

ObsReader = Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
"""Gives the cells batch by batch, in the same order at every call, with the columns that are asked for."""


@dataclass(frozen=True, kw_only=True)
class KeptCells:
    """The cells that a quality keeps.

    Attributes:
        is_kept: (n_obs,) bool, of the cells that were looked at.
        columns: What was computed of those that are kept, (n_kept, columns).
        n_failed: Cells that do not pass the filter.
        n_outliers: Cells that pass it and are outliers.
        _joinids: (n_kept,) int64 their soma_joinids, ascending.
    """

    is_kept: np.ndarray
    columns: pa.Table
    n_failed: int
    n_outliers: int
    _joinids: np.ndarray

    def added_to(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same rows, all of cells that are kept, with the columns."""
        for batch in batches:
            rows = pa.array(np.searchsorted(self._joinids, batch["soma_joinid"].to_numpy()))
            for name in self.columns.column_names:
                batch = batch.append_column(name, self.columns[name].combine_chunks().take(rows))
            yield batch


def keep_cells(
    quality: CheckedQuality,
    read_obs: ObsReader,
    obs_schema: pa.Schema,
    gene_joinids: np.ndarray,
    open_x: Callable[[], "tiledbsoma.SparseNDArray"],
    n_threads: int,
) -> KeptCells:
    """Computes the columns of a quality, applies its filter, and leaves out outliers of the cells that pass it.

    X is read once, and only if there are columns. Memory: a block of X for each thread, 9 bytes a cell, 8 a column,
    and some 50 while one column is searched for outliers.

    Args:
        quality: What is asked for.
        read_obs: Gives obs of the cells, ascending by soma_joinid.
        obs_schema: Schema of obs.
        gene_joinids: (n_vars,) int64 soma_joinids of all genes, ascending.
        open_x: Opens X/raw; called once for each thread.
        n_threads: Threads that read X.

    Raises:
        BadInput: No cell is left.
        CxgError: X cannot be read.
    """
    joinids = np.concatenate([batch["soma_joinid"].to_numpy() for batch in read_obs(["soma_joinid"])])
    columns = pa.table({})
    if quality.quality.columns:
        obs = read_obs(columns_read(quality, obs_schema.names))
        columns = measure_cells(quality, obs, gene_joinids, open_x, n_threads)
    is_kept = _passing(quality, read_obs, columns, len(joinids))
    n_passing = int(is_kept.sum())
    if quality.quality.outliers is not None:
        is_kept[is_kept] = ~_outliers(quality.quality.outliers, read_obs, columns, is_kept)
    n_kept = int(is_kept.sum())
    if not n_kept:
        raise BadInput(
            f"quality.outliers: each of {n_passing:,} cells is an outlier in one of the columns; raise n_mads"
        )
    return KeptCells(
        is_kept=is_kept,
        columns=columns.filter(pa.array(is_kept)) if columns.num_columns else columns,
        n_failed=len(joinids) - n_passing,
        n_outliers=n_passing - n_kept,
        _joinids=joinids[is_kept],
    )


def _passing(quality: CheckedQuality, read_obs: ObsReader, columns: pa.Table, n_obs: int) -> np.ndarray:
    """Which cells pass the filter, (n_obs,) bool.

    Raises:
        BadInput: None does.
    """
    if quality.keep is None:
        return np.ones(n_obs, np.bool_)
    own = [name for name in quality.keep.columns if name in columns.column_names]
    of_obs = [name for name in quality.keep.columns if name not in own]
    masks, start = [], 0
    for batch in read_obs(["soma_joinid", *of_obs]):
        for name in own:
            batch = batch.append_column(name, columns[name].slice(start, batch.num_rows).combine_chunks())
        masks.append(np.asarray(quality.keep.mask(batch)))
        start += batch.num_rows
    is_kept = np.concatenate(masks)
    if not is_kept.any():
        told = ", ".join(_extent(name, columns[name]) for name in own)
        raise BadInput(
            f"quality.keep: none of {n_obs:,} cells passes {shown(quality.keep.text)}"
            f"{f' ({told})' if told else ''}; loosen it"
        )
    return is_kept


def _extent(name: str, values: pa.ChunkedArray) -> str:
    numbers = values.to_numpy()
    return f"{name} is {numbers.min():.4g} to {numbers.max():.4g}"


def _outliers(outliers: Outliers, read_obs: ObsReader, columns: pa.Table, is_kept: np.ndarray) -> np.ndarray:
    """Which of the cells that pass the filter are far out in one of the columns or more, (n,) bool."""
    groups = Groups(outliers.by, "quality.outliers.by")
    of_obs = [name for name in outliers.columns if name not in columns.column_names]
    group_of, values_of, start = [], {name: [] for name in of_obs}, 0
    for batch in read_obs(["soma_joinid", *dict.fromkeys([*outliers.by, *of_obs])]):
        rows = np.flatnonzero(is_kept[start : start + batch.num_rows])
        group_of.append(groups.of(batch)[rows])
        for name in of_obs:
            values_of[name].append(batch[name].to_numpy(zero_copy_only=False)[rows])
        start += batch.num_rows
    group = np.concatenate(group_of)
    is_out = np.zeros(len(group), np.bool_)
    for name in outliers.columns:
        values = np.concatenate(values_of[name]) if name in of_obs else columns[name].to_numpy()[is_kept]
        is_out |= is_outlier(values, group, groups.n, outliers.n_mads)
    return is_out
