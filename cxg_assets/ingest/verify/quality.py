"""Computes the quality of cells again, from what the Census's own client returns of their counts."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cxg_assets.ingest.census.census import Census
from cxg_assets.ingest.selection.selection import Selection

if TYPE_CHECKING:
    import pandas as pd

_TOTAL = "raw_sum"
_SMALL = 1e-9
"""Relative difference of sums that were added in another order."""


def quality_differences(
    census: Census, selection: Selection, obs: "pd.DataFrame", joinids: np.ndarray
) -> Iterator[str]:
    """Tells which columns of a quality differ from those that are computed again, each in words.

    X/raw of the genes of its sets is read, whatever genes and layer a chunk has; of all genes where a share is asked
    for and obs does not tell the sums.

    Args:
        census: The Census.
        selection: What selected the cells, and which quality they have.
        obs: obs of a chunk or of a part of it, (n_obs, columns).
        joinids: (n_obs,) int64 soma_joinids of the cells.
    """
    quality = selection.quality
    if quality is None or not quality.columns:
        return
    import cellxgene_census

    has_total = _TOTAL in census.obs(selection.experiment).schema.names
    needs_all = not has_total and any(column.kind == "share" for column in quality.columns)
    var = census.var(selection.experiment).select(["soma_joinid", "feature_id"]).to_pandas()
    if not needs_all:
        var = var[var.feature_id.isin({gene for genes in selection.quality_genes.values() for gene in genes})]
    adata: Any = cellxgene_census.get_anndata(
        census.root,
        selection.organism,
        X_name="raw",
        modality=selection.modality,
        obs_coords=joinids,
        var_coords=var.soma_joinid.to_numpy(),
        obs_column_names=["soma_joinid", *([_TOTAL] if has_total else [])],
    )
    places = np.searchsorted(np.sort(joinids), joinids)
    counts = adata.X[places].astype(np.float64)
    totals = adata.obs[_TOTAL].to_numpy()[places] if has_total else _sums(counts)
    for column in quality.columns:
        of_set = counts[:, adata.var.feature_id.isin(selection.quality_genes[column.name]).to_numpy()]
        expected = _sums(of_set)
        if column.kind == "nnz":
            expected = _sums(of_set != 0)
        elif column.kind == "share":
            expected = np.divide(expected, totals, out=np.zeros(len(expected)), where=totals > 0)
        if column.name not in obs:
            yield f"obs has no {column.name}"
        elif not np.allclose(obs[column.name].to_numpy(), expected, rtol=_SMALL, atol=0):
            n_other = int((~np.isclose(obs[column.name].to_numpy(), expected, rtol=_SMALL, atol=0)).sum())
            yield f"{column.name} of {n_other:,} cells is not what the Census's counts give"


def _sums(counts: Any) -> np.ndarray:
    return np.asarray(counts.sum(axis=1)).ravel().astype(np.float64)
