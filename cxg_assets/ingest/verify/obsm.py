"""Compares obsm of a chunk with the arrays that it was read from."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.embeddings.obsm import BUFFER_BYTES, ObsmArray
from cxg_assets.ingest.selection.places import OBSM_KEY

if TYPE_CHECKING:
    from anndata import AnnData


def obsm_differences(
    census: CensusLocator, arrays: Mapping[str, ObsmArray], adata: "AnnData", joinids: np.ndarray
) -> Iterator[str]:
    """What of obsm is not as the Census has it, each in words.

    Read cell by cell, as the Census's own client does, and not as a worker does.

    Args:
        census: The Census.
        arrays: What obsm should have, by name.
        adata: Cells of a chunk.
        joinids: (n_obs,) int64, their soma_joinids.
    """
    there = set(adata.obsm) - {OBSM_KEY}  # of spots, which are looked at by themselves
    if there != set(arrays):
        yield f"obsm has {', '.join(sorted(there)) or 'nothing'}, the plan says {', '.join(arrays) or 'nothing'}"
    for name, array in arrays.items():
        if name not in there:
            continue
        mine: Any = adata.obsm[name]
        theirs = _read(census, array, joinids)
        if mine.dtype != theirs.dtype or not np.array_equal(mine, theirs, equal_nan=True):
            yield f"obsm/{name} differs from the Census"


def _read(census: CensusLocator, array: ObsmArray, joinids: np.ndarray) -> np.ndarray:
    with census.open_x(array.uri, n_threads=1, buffer_bytes=BUFFER_BYTES, of="obsm") as opened:
        stored = np.dtype(opened.schema.field("soma_data").type.to_pandas_dtype())
        order = np.argsort(joinids)
        values = np.full((len(joinids), array.n_features), array.missing, array.dtype(stored))
        for table in opened.read((joinids[order],)).tables():
            rows = order[np.searchsorted(joinids[order], table["soma_dim_0"].to_numpy())]
            values[rows, table["soma_dim_1"].to_numpy()] = table["soma_data"].to_numpy()
    return values
