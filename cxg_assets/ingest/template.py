"""The part that all chunks of a plan have in common, encoded once: var, the categories of obs, the provenance.

It is kept as the bytes of an HDF5 file; every chunk starts as a copy of them. At 61,000 genes the gene table costs
0.3 s to encode and a memory copy to reuse.
"""

from collections.abc import Mapping, Sequence

import h5py
import numpy as np
import pyarrow as pa

UNS_KEY = "cxg_assets"
"""Key of `uns` under which a chunk tells of its origin."""


def make_template(
    var: pa.Table, obs: pa.Table, obs_columns: Sequence[str], provenance: Mapping[str, str], compression: str
) -> bytes:
    """Encodes what the chunks share.

    Args:
        var: The genes, (n_vars, columns).
        obs: Any rows of the subset, also none: its types and categories count.
        obs_columns: obs columns after soma_joinid.
        provenance: What `uns` tells of the origin.
        compression: Compression of var's numeric arrays; text has none in HDF5.

    Returns:
        The bytes of an h5ad file without cells (not readable as one yet: X and obs are incomplete).
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
        for name in ("obsm", "varm", "obsp", "varp", "layers"):
            write_elem(file, name, {})
        group = file.create_group("obs")
        columns = ["soma_joinid", *obs_columns]
        group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
        group.attrs["column-order"] = np.array(columns, dtype=h5py.string_dtype())
        for name in columns:
            kind = obs.schema.field(name).type
            if isinstance(kind, pa.DictionaryType):
                categorical = group.create_group(name)
                categorical.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0"})
                categorical.attrs["ordered"] = kind.ordered
                categories = obs[name].combine_chunks().dictionary.to_numpy(zero_copy_only=False)
                write_elem(categorical, "categories", categories)
        file.flush()
        return file.id.get_file_image()
