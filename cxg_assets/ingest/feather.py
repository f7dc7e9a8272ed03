"""Arrow IPC (feather) files, written and read batch by batch."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from cxg_assets.ingest.errors import CxgError

ROWS_PER_BATCH = 131_072
"""Rows of every record batch but the last, so that a row's batch is known. 100M rows stay under 1,000 batches."""

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


def write_feather(path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> int:
    """Writes record batches as one file.

    Raises:
        CxgError: A dictionary column's categories differ between batches, which one file cannot hold.

    Returns:
        Rows written.
    """
    n_rows = 0
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema, options=_OPTIONS) as writer:
        for batch in _of_equal_size(_with_equal_categories(batches, path.name)):
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            n_rows += batch.num_rows
    return n_rows


def _with_equal_categories(batches: Iterable[pa.RecordBatch], name: str) -> Iterator[pa.RecordBatch]:
    dictionaries: dict[str, pa.Array] = {}
    for batch in batches:
        for column_name, column in zip(batch.schema.names, batch.columns, strict=True):
            if not isinstance(column, pa.DictionaryArray):
                continue
            if not dictionaries.setdefault(column_name, column.dictionary).equals(column.dictionary):
                raise CxgError(f"{name}: the categories of {column_name} changed while it was written")
        yield batch


def _of_equal_size(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of ROWS_PER_BATCH, the last one shorter."""
    waiting: list[pa.RecordBatch] = []
    n_waiting = 0
    for batch in batches:
        waiting.append(batch)
        n_waiting += batch.num_rows
        while n_waiting >= ROWS_PER_BATCH:
            rows = pa.concat_batches(waiting)
            yield rows.slice(0, ROWS_PER_BATCH)
            n_waiting -= ROWS_PER_BATCH
            waiting = [rows.slice(ROWS_PER_BATCH)]
    if n_waiting:
        yield pa.concat_batches(waiting)


class FeatherFile:
    """A feather file of this project, mapped into memory; only the columns and batches asked for are decoded."""

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        """Opens the file.

        Args:
            path: A local file that `write_feather` wrote.
            columns: Decode these only; None decodes all.
        """
        self._source = pa.memory_map(str(path))
        self.schema: pa.Schema = pa.ipc.open_file(self._source).schema
        fields = None if columns is None else [self.schema.get_field_index(name) for name in columns]
        self._reader = pa.ipc.open_file(self._source, options=pa.ipc.IpcReadOptions(included_fields=fields))

    def __enter__(self) -> "FeatherFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    @property
    def n_batches(self) -> int:
        """Record batches in the file."""
        return self._reader.num_record_batches

    def batch(self, number: int) -> pa.RecordBatch:
        """One record batch, with the columns asked for."""
        return self._reader.get_batch(number)

    def rows(self, start: int, stop: int) -> pa.Table:
        """Rows start … stop-1, with the columns asked for; only the batches they lie in are decoded."""
        first, last = start // ROWS_PER_BATCH, (stop - 1) // ROWS_PER_BATCH
        batches = [self._reader.get_batch(number) for number in range(first, last + 1)]
        return pa.Table.from_batches(batches).slice(start - first * ROWS_PER_BATCH, stop - start)

    def read(self) -> pa.Table:
        """All rows, with the columns asked for."""
        return self._reader.read_all()
