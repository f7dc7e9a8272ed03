"""Categories of obs: those that a subset's cells have, in an order that no release decides.

The codes of a category are the same in every chunk of a dataset, whatever cells are in it: all have the list of the
whole subset. So a code is a label for training as it is (`dataset.json`, `labels`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cxg_assets.ingest.selection.obs_rows import Rows, take_rows
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource


@dataclass(frozen=True, eq=False)
class Recoding:
    """How a column's codes become those of the categories that are kept.

    Attributes:
        categories: The values that occur, each once: sorted by code point, those of an ordered dictionary in its order.
        codes: (n + 1,) int64, the new code of each of n entries of the old dictionary, -1 for what is missing; the
            last is the missing value's.
    """

    categories: pa.Array
    codes: np.ndarray

    @classmethod
    def of(cls, dictionary: pa.Array, used: np.ndarray, *, ordered: bool) -> "Recoding":
        """The recoding of a dictionary of which some entries are used, (n,) bool."""
        kept = dictionary.filter(pa.array(used)).unique().drop_null()
        if not ordered:
            kept = kept.take(pc.call_function("array_sort_indices", [kept]))
        return cls(kept, np.append(_places(dictionary, kept), -1))

    def apply(self, column: pa.DictionaryArray) -> pa.DictionaryArray:
        """The same values with the new codes, of the same width."""
        kind = column.type.index_type
        codes = self.codes[_codes_of(column)]
        mask = codes < 0 if column.indices.null_count or self.codes[:-1].min(initial=0) < 0 else None
        indices = pa.array(codes.astype(kind.to_pandas_dtype()), kind, mask=mask)
        return pa.DictionaryArray.from_arrays(indices, self.categories, ordered=column.type.ordered)


def find_recodings(obs: FeatherSource, rows: Rows, columns: Sequence[str]) -> dict[str, Recoding]:
    """How those columns that have a dictionary are recoded, so that it has the values of these rows and no others.

    Reads the codes of the rows once, batch by batch; memory: a bool for each value of a dictionary.
    """
    with FeatherFile(obs) as file:
        coded = [name for name in columns if pa.types.is_dictionary(file.schema.field(name).type)]
    if not coded:
        return {}
    met: dict[str, tuple[pa.DictionaryArray, np.ndarray]] = {}
    with FeatherFile(obs, columns=coded) as file:
        for batch in take_rows(file, rows, coded):
            for name in coded:
                column = batch[name]
                # A file has one dictionary a column; the last bool is that of a missing value.
                _, is_used = met.setdefault(name, (column, np.zeros(len(column.dictionary) + 1, np.bool_)))
                is_used[_codes_of(column)] = True
    return {
        name: Recoding.of(column.dictionary, is_used[:-1], ordered=column.type.ordered)
        for name, (column, is_used) in met.items()
    }


def recoded(batches: Iterator[pa.RecordBatch], recodings: Mapping[str, Recoding]) -> Iterator[pa.RecordBatch]:
    """The same rows with the categories that are kept."""
    for batch in batches:
        for name, recoding in recodings.items():
            place = batch.schema.get_field_index(name)
            batch = batch.set_column(place, batch.schema.field(place), recoding.apply(batch.column(place)))
        yield batch


def each_once(dictionary: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The values of a dictionary, each once and none missing, and for each entry its place (int64) there, or -1."""
    values = dictionary.unique().drop_null()
    return values, _places(dictionary, values)


def categories_of(obs: FeatherSource, columns: Sequence[str]) -> dict[str, list[str]]:
    """The categories of those columns of an obs file that have any, as every chunk has them. No batch is read."""
    with FeatherFile(obs) as file:
        head = file.no_rows()
    coded = [name for name in columns if name in head.schema.names and pa.types.is_dictionary(head[name].type)]
    return {name: each_once(head[name].combine_chunks().dictionary)[0].to_pylist() for name in coded}


def _places(dictionary: pa.Array, values: pa.Array) -> np.ndarray:
    """For each entry its place among some values, (n,) int64; -1 where it is none of them."""
    places = pc.call_function("index_in", [dictionary], pc.SetLookupOptions(values, skip_nulls=True))
    return places.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


def _codes_of(column: pa.DictionaryArray) -> np.ndarray:
    """The codes of a column's rows, (n,) whole numbers; -1, so the last of all, for a missing value."""
    if not column.indices.null_count:
        return column.indices.to_numpy()
    return column.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
