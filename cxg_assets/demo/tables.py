"""Creates arrays in a SOMA collection and opens them for writing."""

import time
from typing import Any

import pyarrow as pa
import tiledbsoma as soma


def open_for_writing(array: soma.DataFrame | soma.SparseNDArray) -> Any:
    """Close an array that has just been created and open it again, at a later TileDB time.

    The first write of a dictionary changes the array's schema. Through the handle that created it, the change is dated
    when the parent collection was opened, before the array existed, so readers find the first schema, whose
    dictionaries are empty (tiledbsoma 2.3.0). A change in the millisecond of the creation would be as ambiguous.
    """
    array.close()
    return soma.open(array.uri, mode="w", context=array.context, tiledb_timestamp=time.time_ns() // 1_000_000 + 1)


def write_table(
    collection: soma.Collection | soma.Measurement, name: str, table: pa.Table, *, storage: dict[str, Any] | None = None
) -> None:
    """Add a dataframe with the rows of `table`, indexed by its column `soma_joinid`, which counts from 0.

    `storage` is its `platform_config`; TileDB-SOMA's defaults when left out.
    """
    created = collection.add_new_dataframe(
        name,
        schema=table.schema,
        index_column_names=["soma_joinid"],
        domain=[(0, table.num_rows - 1)],
        platform_config=storage,
    )
    with open_for_writing(created) as dataframe:
        dataframe.write(table)
