"""What is done with the cells that pass a subset's filter: quality, sample and split, over the census index."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.quality.checked import CheckedQuality
from cxg_assets.ingest.sampling import Sample, Split
from cxg_assets.ingest.selection.obs_rows import Rows, take_rows
from cxg_assets.ingest.spec import SPLIT, SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, present_columns

if TYPE_CHECKING:
    from cxg_assets.ingest.choice.split import SplitCells
    from cxg_assets.ingest.quality.passing import KeptCells

QUALITY_LAYER = "raw"
"""Quality is of counts, whatever layer the chunks have."""


@dataclass(frozen=True, kw_only=True)
class QualityCounts:
    """What a quality left out.

    Attributes:
        n_obs: Cells that passed `value_filter`.
        n_failed: Of them, cells that do not pass `keep`.
        n_outliers: Of the others, cells that are outliers.
    """

    n_obs: int
    n_failed: int
    n_outliers: int

    @classmethod
    def of(cls, cells: "KeptCells") -> "QualityCounts":
        """The counts of what was kept."""
        return cls(n_obs=len(cells.is_kept), n_failed=cells.n_failed, n_outliers=cells.n_outliers)

    @property
    def in_words(self) -> str:
        """For a person."""
        return f"of {self.n_obs:,} cells {self.n_failed:,} do not pass keep, {self.n_outliers:,} are outliers"


@dataclass(frozen=True, kw_only=True)
class SampledFrom:
    """What a sample was taken from.

    Attributes:
        n_obs: Cells that passed the filter, and the quality if there is one.
        n_groups: Groups of them; 1 where the sample has none.
        n_groups_kept: Groups that are not left out as too small.
    """

    n_obs: int
    n_groups: int
    n_groups_kept: int


def require_columns_of(spec: SubsetSpec, schema: pa.Schema) -> None:
    """Makes sure that obs has what sample and split read.

    Raises:
        BadInput: It does not, or has a column where the part of each cell is to be.
    """
    for attribute in ("sample", "split"):
        value: Sample | Split | None = getattr(spec, attribute)
        for column in () if value is None else value.columns:
            if column not in schema.names:
                where = next((name for name in ("by", "stratify") if column in (getattr(value, name, None) or ())), "")
                where = f"{attribute}.{where or 'min_donors'}"
                raise BadInput(f"{where}: obs has no {shown(column)}; it has {', '.join(schema.names)}")
    if spec.split is not None and SPLIT in schema.names:
        raise BadInput(f"split: obs of this Census has a column {SPLIT} already; take split out")


def kept_rows(
    quality: CheckedQuality,
    index_source: FeatherSource,
    rows: Rows,
    var: pa.Table,
    layers: Mapping[str, str],
    census: CensusLocator | None,
    release: Release,
) -> tuple[Rows, "KeptCells"]:
    """The rows that a quality keeps, of those that passed the filter, and what was computed of them.

    Raises:
        BadInput: No cell is kept, or the Census has no X/raw, or was replaced by another build than `release`.
        CxgError: X cannot be read.
    """
    from cxg_assets.ingest.quality.passing import keep_cells
    from cxg_assets.ingest.x.reader import BUFFER_BYTES

    assert census is not None  # who asks for a quality says where X is
    if QUALITY_LAYER not in layers:
        raise BadInput(f"quality: this Census has no X/{QUALITY_LAYER}; take quality out")
    open_x = partial(census.open_x, layers[QUALITY_LAYER], n_threads=1, buffer_bytes=BUFFER_BYTES)
    with FeatherFile(index_source) as file:
        schema = file.schema
    try:
        cells = keep_cells(
            quality,
            partial(batches_of, index_source, rows),
            schema,
            var["soma_joinid"].to_numpy(),
            open_x,
            os.cpu_count() or 1,
        )
    finally:
        # Of a Census that was replaced meanwhile TileDB says anything, or gives the counts of other cells.
        release.confirm(census)
    ends = np.cumsum([len(positions) for positions in rows])[:-1]
    of_batches = zip(rows, np.split(cells.is_kept, ends), strict=True)
    return [positions[is_kept] for positions, is_kept in of_batches], cells


def sampled_rows(sample: Sample, index_source: FeatherSource, rows: Rows) -> tuple[Rows, SampledFrom]:
    """The rows that a sample keeps, of those that passed the filter."""
    from cxg_assets.ingest.choice.sample import sample_cells

    batches = partial(batches_of, index_source, rows, sample.columns)
    cells = sample_cells(sample, batches)
    masks = (cells.mask(batch) for batch in batches())
    kept = [positions[next(masks)] if len(positions) else positions for positions in rows]
    n_kept = int((cells.n_kept > 0).sum())
    return kept, SampledFrom(n_obs=int(cells.n_before.sum()), n_groups=len(cells.n_before), n_groups_kept=n_kept)


def split_rows(split: Split, index_source: FeatherSource, rows: Rows) -> "SplitCells":
    """The parts of a split of those rows."""
    from cxg_assets.ingest.choice.split import split_cells

    return split_cells(split, partial(batches_of, index_source, rows, split.columns))


def batches_of(index_source: FeatherSource, rows: Rows, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The cells of those rows, batch by batch, with those of these columns that obs has."""
    there = present_columns(index_source, columns)
    with FeatherFile(index_source, columns=there) as file:
        yield from take_rows(file, rows, there)


def part_field() -> pa.Field:
    """The column `split` of a subset's obs file."""
    return pa.field(SPLIT, pa.dictionary(pa.int8(), pa.string()))


def with_parts(batches: Iterator[pa.RecordBatch], split: "SplitCells") -> Iterator[pa.RecordBatch]:
    """The same rows with the part of each; its categories are all parts in their order."""
    parts = pa.array(split.split.parts)
    for batch in batches:
        codes = pa.array(split.part(batch).astype("int8"))
        part = pa.DictionaryArray.from_arrays(codes, parts)
        yield batch.append_column(part_field(), part)
