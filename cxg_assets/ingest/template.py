"""What all chunks of a plan have in common, encoded once: var, the categories of obs, the provenance, every dataset.

It is kept as the bytes of an HDF5 file; every chunk starts as a copy of them and fills the empty datasets. At 61,000
genes the gene table costs 0.3 s to encode and a memory copy to reuse; a dataset with its attributes costs 0.4 ms to
create and 0.1 ms to look up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import h5py
import numpy as np
import pyarrow as pa

from cxg_assets.ingest.arrays import BLOCK, create_array

UNS_KEY = "cxg_assets"
"""Key of `uns` under which a chunk tells of its origin."""


@dataclass(frozen=True)
class Template:
    """An h5ad file without cells, for `ChunkEncoder`.

    Attributes:
        image: Its bytes. X has no `shape` and no `indptr` yet.
        n_vars: Genes.
        obs_columns: obs columns, soma_joinid first.
        compression: One of `spec.COMPRESSIONS`.
    """

    image: bytes
    n_vars: int
    obs_columns: tuple[str, ...]
    compression: str


def make_template(
    var: pa.Table,
    obs: pa.Table,
    x_dtype: np.dtype,
    *,
    obs_columns: Sequence[str],
    provenance: Mapping[str, str],
    compression: str,
    chunk_size: int,
) -> Template:
    """Encodes what the chunks share.

    Args:
        var: The genes, (n_vars, columns).
        obs: Any rows of the subset, also none: its types and categories count.
        x_dtype: Type of X's values.
        obs_columns: obs columns after soma_joinid.
        provenance: What `uns` tells of the origin.
        compression: One of `spec.COMPRESSIONS`; text has none in HDF5.
        chunk_size: Cells of a chunk, for the block size of obs.
    """
    # Imported here: what plans and lists chunks does not need anndata, which takes a second.
    from anndata.io import write_elem

    kwargs = {} if compression == "none" else {"compression": "gzip", "shuffle": True}
    with h5py.File.in_memory() as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        frame = var.to_pandas()
        frame.index = frame.index.astype(str)
        write_elem(file, "var", frame, dataset_kwargs=kwargs)
        write_elem(file, "uns", {UNS_KEY: dict(provenance)})
        for name in ("chunk", "fingerprint"):
            _describe(file.create_dataset(f"uns/{UNS_KEY}/{name}", (), h5py.string_dtype()), "string")
        for name in ("obsm", "varm", "obsp", "varp", "layers"):
            write_elem(file, name, {})
        x = file.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        create_array(x, "data", x_dtype, compression)
        create_array(x, "indices", np.dtype(np.int32), compression)
        group = file.create_group("obs")
        group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
        columns = ("soma_joinid", *obs_columns)
        group.attrs["column-order"] = np.array(columns, dtype=h5py.string_dtype())
        block = min(BLOCK, chunk_size)
        _create_text(group, "_index", block)
        for name in columns:
            kind = obs.schema.field(name).type
            if isinstance(kind, pa.DictionaryType):
                categorical = group.create_group(name)
                _describe(categorical, "categorical")
                categorical.attrs["ordered"] = kind.ordered
                categories = obs[name].combine_chunks().dictionary.to_numpy(zero_copy_only=False)
                write_elem(categorical, "categories", categories)
                codes = np.dtype(kind.index_type.to_pandas_dtype())
                _describe(create_array(categorical, "codes", codes, compression, block), "array")
            elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
                _create_text(group, name, block)
            else:
                numbers = np.dtype(kind.to_pandas_dtype())
                _describe(create_array(group, name, numbers, compression, block), "array")
        file.flush()
        return Template(file.id.get_file_image(), var.num_rows, columns, compression)


def _create_text(group: h5py.Group, name: str, block: int) -> None:
    dataset = group.create_dataset(name, (0,), h5py.string_dtype(), chunks=(block,), maxshape=(None,))
    _describe(dataset, "string-array")


def _describe(node: h5py.Dataset | h5py.Group, encoding: str) -> None:
    node.attrs.update({"encoding-type": encoding, "encoding-version": "0.2.0"})
