"""A chunk as Parquet, a row a cell, the way Tahoe-100M is published: its genes and their counts as two lists.

`genes` are places in var, `expressions` the values there; the file of the vocabulary tells which gene has which place.
obs columns are plain: text for categories, so that every reader of Parquet has the labels.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cxg_assets.ingest.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

GENES, EXPRESSIONS = "genes", "expressions"

CELLS_PER_GROUP = 1_000
"""Cells of a row group, about 13 MB of lists: what a reader holds that wants a few rows."""


def chunk_schema(adata: "AnnData") -> pa.Schema:
    """Columns of the file of a chunk: the two lists, then obs.

    Raises:
        BadInput: An obs column has the name of one of the lists.
    """
    obs: Any = adata.obs
    taken = [name for name in obs if name in (GENES, EXPRESSIONS)]
    if taken:
        raise BadInput(
            f"exports: parquet has a column {taken[0]} of its own; take {taken[0]} out of obs_columns, or exports out"
        )
    x: Any = adata.X
    lists = [(GENES, pa.list_(pa.int32())), (EXPRESSIONS, pa.list_(pa.from_numpy_dtype(x.dtype)))]
    return pa.schema([*lists, *((name, plain_column(obs[name].iloc[:0]).type) for name in obs)])


def write_chunk(adata: "AnnData", path: Path) -> None:
    """Writes the cells of a chunk in their order, `CELLS_PER_GROUP` at a time."""
    schema = chunk_schema(adata)
    repeated: Any = [f"{EXPRESSIONS}.list.element", *schema.names[2:]]
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        # By distances: places ascend within a cell. A third smaller and faster than with a dictionary (measured).
        column_encoding={f"{GENES}.list.element": "DELTA_BINARY_PACKED"},
        use_dictionary=repeated,
        store_schema=False,
    ) as writer:
        for start, stop in _groups(adata.n_obs):
            writer.write_table(_rows(adata, schema, start, stop))


def differences(path: Path, adata: "AnnData") -> list[str]:
    """Where a written file is not its chunk, row by row, each in words; empty when it is."""
    x: Any = adata.X
    obs: Any = adata.obs
    wrong: list[str] = []
    with pq.ParquetFile(path) as file:
        if file.metadata.num_rows != adata.n_obs:
            return [f"it has {file.metadata.num_rows:,} rows, the chunk {adata.n_obs:,} cells"]
        for group, (start, stop) in enumerate(_groups(adata.n_obs)):
            read = file.read_row_group(group)
            rows = x[start:stop]
            for name, values in ((GENES, rows.indices), (EXPRESSIONS, rows.data)):
                lists = read[name].combine_chunks()
                if not (
                    np.array_equal(lists.offsets.to_numpy(), rows.indptr)
                    and np.array_equal(lists.values.to_numpy(), values)
                ):
                    wrong.append(f"{name} of cells {start:,} to {stop - 1:,} differ")
            for name in obs:
                if not _equal(read[name], obs[name].iloc[start:stop]):
                    wrong.append(f"{name} of cells {start:,} to {stop - 1:,} differs")
    return wrong


def _groups(n_obs: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + CELLS_PER_GROUP, n_obs)) for start in range(0, n_obs, CELLS_PER_GROUP))


def _rows(adata: "AnnData", schema: pa.Schema, start: int, stop: int) -> pa.Table:
    x: Any = adata.X
    obs: Any = adata.obs
    rows = x[start:stop]
    offsets = pa.array(rows.indptr.astype(np.int32))
    lists = [pa.ListArray.from_arrays(offsets, pa.array(rows.indices.astype(np.int32)))]
    lists.append(pa.ListArray.from_arrays(offsets, pa.array(rows.data)))
    return pa.Table.from_arrays([*lists, *(plain_column(obs[name].iloc[start:stop]) for name in obs)], schema=schema)


def plain_column(values: "pd.Series") -> pa.Array:
    """Values of a column of obs or var: categories as what they stand for, all else as it is."""
    if values.dtype != "category":
        return pa.array(values.to_numpy()) if values.dtype.kind in "biuf" else pa.array(values.tolist(), pa.string())
    codes = values.cat.codes.to_numpy()
    categories = pa.array(values.cat.categories.tolist() or [""])
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), categories).dictionary_decode()


def _equal(read: pa.ChunkedArray, values: "pd.Series") -> bool:
    """Whether a column that was read has the values of the chunk, by another way than they were written."""
    if values.dtype != "category" and values.dtype.kind in "biuf":
        return np.array_equal(read.to_numpy(), values.to_numpy(), equal_nan=values.dtype.kind == "f")
    return read.to_pylist() == values.astype(object).where(values.notna(), None).tolist()
