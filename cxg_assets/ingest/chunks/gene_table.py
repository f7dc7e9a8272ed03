"""var of an h5ad file: what is most of a small file, so each text is written once, in a form that every reader knows.

Which readers were tried is in docs/reference/yaml.md, at `genes_text`.
"""

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cxg_assets.ingest.chunks.hdf5_arrays import BLOCK
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.selection.categories import each_once
from cxg_assets.ingest.spec import FIXED

NAMES = "feature_id"
"""Column whose texts are var_names as well."""

FIRST_NAMED = 5
"""First version of the chunk format with such var_names; before, they were the numbers of the rows."""

LABELS = ("feature_type",)
"""Columns of text in which few values repeat: they are written as categories, sorted. 61,517 texts of a few kinds take
1.9 MB as they are. Always these and no others, so that the type of a column does not hang on the genes of a subset."""


def write_gene_table(file: h5py.File, var: pa.Table, *, compression: str, genes_text: str) -> None:
    """Writes var, (n_vars, …), in its order.

    var_names are the feature_ids: `_index` is a second name (a hard link) of that dataset, so that they are there once.
    A var without feature_id has its rows' numbers as names, as `cellxgene_census.get_anndata` gives them.

    Args:
        file: Where the group `var` is made.
        var: The genes.
        compression: One of `spec.COMPRESSIONS`; only whether it is `none` counts. Of text of variable length only the
            references to it can be compressed, 16 bytes each; HDF5 keeps the text itself in a heap.
        genes_text: One of `spec.GENES_TEXTS`.

    Raises:
        CxgError: h5ad has no encoding for what a column holds.
    """
    # Imported here: what plans and lists chunks does not need anndata, which takes a second.
    from anndata.io import write_elem

    numbers = {} if compression == "none" else {"compression": "gzip", "shuffle": True}
    group = file.create_group("var")
    group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
    group.attrs["column-order"] = np.array(var.schema.names, dtype=h5py.string_dtype())
    if NAMES not in var.schema.names or not is_text(var.schema.field(NAMES).type):
        names = pa.array([str(row) for row in range(var.num_rows)])
        _write_text(group, "_index", names, numbers, genes_text)
    for name in var.schema.names:
        column = var[name].combine_chunks()
        if name in LABELS and is_text(column.type):
            column = _as_labels(column)
        if isinstance(column, pa.DictionaryArray):
            column = _no_category_twice(name, column)
        if not is_text(column.type):
            values = column.to_pandas()
            is_categorical = isinstance(column, pa.DictionaryArray)
            write_elem(group, name, values.array if is_categorical else values.to_numpy(), dataset_kwargs=numbers)
            continue
        if column.null_count:
            raise CxgError(f"var.{name}: {counted(column.null_count, 'gene')} without a value")
        refuse_nul(f"var.{name}", column)
        _write_text(group, name, column, numbers, genes_text)
    if "_index" not in group:
        group["_index"] = group[NAMES]


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text, plain and not in a dictionary."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def refuse_nul(column: str, values: pa.Array) -> None:
    """Refuses (CxgError) text with the character NUL in it, where HDF5 would end it."""
    if not is_text(values.type):
        return
    # The functions by name: pyright does not know those that pyarrow makes when it is loaded.
    found = pc.call_function("match_substring", [values], pc.MatchSubstringOptions("\0"))
    if pc.call_function("any", [found]).as_py():
        raise CxgError(f"{column}: a value has the character NUL in it, which HDF5 cannot hold; leave the column out")


def _write_text(group: h5py.Group, name: str, values: pa.Array, numbers: dict[str, object], genes_text: str) -> None:
    texts = values.to_numpy(zero_copy_only=False)
    block = (min(BLOCK, len(texts)),)
    if genes_text == FIXED:
        encoded = np.char.encode(texts.astype(str), "utf-8")
        kind = h5py.string_dtype("utf-8", max(encoded.dtype.itemsize, 1))
        # Not shuffled: names of genes get larger by it.
        deflated = {"compression": "gzip"} if numbers else {}
        dataset = group.create_dataset(name, data=encoded.astype(kind), chunks=block, **deflated)
    else:
        dataset = group.create_dataset(name, data=texts, dtype=h5py.string_dtype(), chunks=block, **numbers)
    dataset.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


def _as_labels(column: pa.Array) -> pa.DictionaryArray:
    """Text as a dictionary of the values that occur, sorted."""
    values = pc.call_function("unique", [column]).drop_null()
    values = values.take(pc.call_function("array_sort_indices", [values]))
    codes = pc.call_function("index_in", [column], pc.SetLookupOptions(values))
    return pa.DictionaryArray.from_arrays(codes, values)


def _no_category_twice(name: str, column: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same values, with no category twice, which pandas refuses."""
    categories, codes = each_once(column.dictionary)
    refuse_nul(f"var.{name}", categories)
    indices = pc.take(pa.array(codes, mask=codes < 0), column.indices)
    return pa.DictionaryArray.from_arrays(indices, categories, ordered=column.type.ordered)
