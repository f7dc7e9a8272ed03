"""What all chunks of a plan have in common, encoded once: var, the categories of obs, the provenance, every dataset.

It is kept as the bytes of an HDF5 file; every chunk starts as a copy of them and fills the empty datasets. At 61,000
genes the gene table costs 0.3 s to encode and a memory copy to reuse; a dataset with its attributes costs 0.4 ms to
create and 0.1 ms to look up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import pyarrow as pa

from cxg_assets.ingest.chunks.gene_table import is_text, refuse_nul, write_gene_table
from cxg_assets.ingest.chunks.hdf5_arrays import BLOCK, create_array
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.selection.categories import each_once
from cxg_assets.ingest.spec import VARIABLE
from cxg_assets.ingest.x_layers import X

UNS_KEY = "cxg_assets"
"""Key of `uns` under which a chunk tells of its origin."""


OBSM = "obsm/"
"""What the paths of arrays of obsm begin with."""

OBSM_VALUES = 65_536
"""Values of one HDF5 chunk of obsm, as far as whole rows go."""


@dataclass(frozen=True, kw_only=True)
class ArrayInChunk:
    """An array beside X: a matrix like X, or of obsm, then dense.

    Attributes:
        dtype: Type of its values.
        n_columns: Of obsm; a matrix has a column a gene.
        missing: Of obsm, what stands for a value that the Census does not have.
    """

    dtype: np.dtype
    n_columns: int = 0
    missing: float = 0.0


@dataclass(frozen=True, eq=False)
class Template:
    """An h5ad file without cells, for `ChunkEncoder`.

    Attributes:
        image: Its bytes. X and the layers have no `shape` and no `indptr` yet.
        n_vars: Genes.
        obs_columns: obs columns, soma_joinid first.
        compression: One of `spec.COMPRESSIONS`.
        further: The arrays beside X, by their paths in a chunk.
        recoded: For an obs column whose dictionary has a value twice: the code in the file, int64, of each entry.
    """

    image: bytes
    n_vars: int
    obs_columns: tuple[str, ...]
    compression: str
    recoded: Mapping[str, np.ndarray]
    further: Mapping[str, ArrayInChunk]

    @property
    def matrices(self) -> tuple[str, ...]:
        """The paths of X and of the layers."""
        return (X, *(path for path in self.further if not path.startswith(OBSM)))

    @property
    def obsm(self) -> dict[str, ArrayInChunk]:
        """The arrays of obsm, by their paths."""
        return {path: array for path, array in self.further.items() if path.startswith(OBSM)}


def make_template(
    var: pa.Table,
    obs: pa.Table,
    x_dtype: np.dtype,
    *,
    obs_columns: Sequence[str],
    provenance: Mapping[str, str],
    compression: str,
    chunk_size: int,
    has_split: bool = False,
    genes_text: str = VARIABLE,
    further: Mapping[str, ArrayInChunk] | None = None,
    uns: Mapping[str, Any] | None = None,
) -> Template:
    """Encodes what the chunks share: var, the types and categories of obs (of which no rows are needed), provenance.

    `obs_columns` are those after soma_joinid, `chunk_size` the cells of the largest chunk. Only numbers are compressed;
    text of variable length cannot be in HDF5. With `has_split` each chunk tells its part of a split. `genes_text` is
    one of `spec.GENES_TEXTS`, `further` tells of the arrays beside X, by path, `uns` what it has besides the
    provenance.

    Raises:
        CxgError: h5ad has no encoding for what a column of obs or var holds.
    """
    # Imported here: what plans and lists chunks does not need anndata, which takes a second.
    from anndata.io import write_elem

    with h5py.File.in_memory() as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        write_gene_table(file, var, compression=compression, genes_text=genes_text)
        # Sorted, as the fingerprint takes it: HDF5 lays things out in the order they come.
        write_elem(file, "uns", {UNS_KEY: dict(sorted(provenance.items())), **(uns or {})})
        for name in ("chunk", "fingerprint", *(("split",) if has_split else ())):
            describe(file.create_dataset(f"uns/{UNS_KEY}/{name}", (), h5py.string_dtype()), "string")
        for name in ("obsm", "varm", "obsp", "varp", "layers"):
            write_elem(file, name, {})
        beside = dict(further or {})
        for path, array in {X: ArrayInChunk(dtype=x_dtype), **beside}.items():
            if path.startswith(OBSM):
                rows = min(max(OBSM_VALUES // array.n_columns, 1), chunk_size)
                dense = create_array(file, path, array.dtype, compression, rows, (array.n_columns,))
                describe(dense, "array")
                continue
            x = file.create_group(path)
            x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
            create_array(x, "data", array.dtype, compression)
            create_array(x, "indices", np.dtype(np.int32), compression)
        group = file.create_group("obs")
        group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
        columns = ("soma_joinid", *obs_columns)
        group.attrs["column-order"] = np.array(columns, dtype=h5py.string_dtype())
        block = min(BLOCK, chunk_size)
        _create_text(group, "_index", block)
        recoded: dict[str, np.ndarray] = {}
        for name in columns:
            kind = obs.schema.field(name).type
            if isinstance(kind, pa.DictionaryType):
                categorical = group.create_group(name)
                describe(categorical, "categorical")
                categorical.attrs["ordered"] = kind.ordered
                dictionary = obs[name].combine_chunks().dictionary
                categories, codes = each_once(dictionary)
                if len(categories) < len(dictionary):
                    recoded[name] = codes
                refuse_nul(f"obs.{name}", categories)
                write_elem(categorical, "categories", categories.to_numpy(zero_copy_only=False))
                describe(create_array(categorical, "codes", _code_dtype(kind), compression, block), "array")
            elif is_text(kind):
                _create_text(group, name, block)
            elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
                numbers = np.dtype(kind.to_pandas_dtype())
                describe(create_array(group, name, numbers, compression, block), "array")
            else:
                raise CxgError(f"obs.{name}: h5ad has no encoding for {kind}; leave the column out")
        file.flush()
        return Template(file.id.get_file_image(), var.num_rows, columns, compression, recoded, beside)


def require_values(name: str, values: pa.Array) -> None:
    """Makes sure that AnnData can hold a column of obs that has no dictionary.

    Raises:
        CxgError: Text, whole numbers or truth values miss some, or a text has the character NUL in it.
    """
    if values.null_count and not pa.types.is_floating(values.type):
        raise CxgError(f"obs.{name}: {counted(values.null_count, 'cell')} without a value; leave the column out")
    refuse_nul(f"obs.{name}", values)


def codes_in_file(indices: pa.Array, recoded: np.ndarray | None) -> np.ndarray:
    """Codes of a column's cells as a file has them, -1 for a missing value; `recoded` as of `Template`."""
    codes = (indices.cast(pa.int64()).fill_null(-1) if indices.null_count else indices).to_numpy()
    return codes if recoded is None else np.append(recoded, -1)[codes]  # a missing value's -1 picks the last


def _code_dtype(kind: pa.DictionaryType) -> np.dtype:
    """Type of a column's codes: as Arrow has them, but signed, since -1 stands for a missing value."""
    codes = np.dtype(kind.index_type.to_pandas_dtype())
    return codes if codes.kind == "i" else np.dtype(f"i{min(2 * codes.itemsize, 8)}")


def _create_text(group: h5py.Group, name: str, block: int) -> None:
    dataset = group.create_dataset(name, (0,), h5py.string_dtype(), chunks=(block,), maxshape=(None,))
    describe(dataset, "string-array")


def describe(node: h5py.Dataset | h5py.Group, encoding: str) -> None:
    """Says what AnnData is to make of a node: one of its encodings of version 0.2.0."""
    node.attrs.update({"encoding-type": encoding, "encoding-version": "0.2.0"})
