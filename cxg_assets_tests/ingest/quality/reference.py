"""Quality as scanpy, pandas and sc-best-practices compute it, of what `cellxgene_census.get_anndata` returns."""

from fnmatch import fnmatchcase
from typing import Any

import cellxgene_census
import numpy as np
import pandas as pd
import tiledbsoma as soma
from scipy.stats import median_abs_deviation

from cxg_assets.ingest.metrics import Outliers, QualityColumn
from cxg_assets_tests.references import scanpy

get_anndata: Any = cellxgene_census.get_anndata


def all_cells(census: soma.Collection, value_filter: str | None, organism: str = "homo_sapiens") -> Any:
    """The cells that pass a filter, with all genes and all of obs, by soma_joinid."""
    return get_anndata(census, organism, X_name="raw", obs_value_filter=value_filter)


def is_in_set(var: pd.DataFrame, column: QualityColumn) -> np.ndarray:
    """Which genes the set of a column has, (n_vars,) bool."""
    if column.feature_ids:
        return var.feature_id.isin(column.feature_ids).to_numpy()
    return np.array([any(fnmatchcase(name, pattern) for pattern in column.feature_name) for name in var.feature_name])


def with_columns(adata: Any, columns: tuple[QualityColumn, ...]) -> pd.DataFrame:
    """obs with the columns of a quality, by `scanpy.pp.calculate_qc_metrics`."""
    obs = adata.obs.reset_index(drop=True)
    for column in columns:
        adata.var["of_set"] = is_in_set(adata.var, column)
        described: Any = scanpy().pp.calculate_qc_metrics(adata, qc_vars=["of_set"], percent_top=None, log1p=False)
        metrics = described[0]
        of_set: Any = adata.X[:, adata.var.of_set.to_numpy()]
        obs[column.name] = {
            "share": np.nan_to_num(metrics.pct_counts_of_set.to_numpy() / 100),
            "counts": metrics.total_counts_of_set.to_numpy().astype(np.float64),
            "nnz": np.asarray((of_set > 0).sum(axis=1)).ravel(),
        }[column.kind]
    return obs


def is_outlier(values: pd.Series, n_mads: float) -> pd.Series:
    """As sc-best-practices has it (chapter on quality control)."""
    numbers = values.astype(np.float64)
    far = n_mads * median_abs_deviation(numbers)
    return (numbers < np.median(numbers) - far) | (np.median(numbers) + far < numbers)


def without_outliers(obs: Any, outliers: Outliers) -> pd.DataFrame:
    """The cells that are no outliers, group by group."""
    is_out = pd.Series(False, index=obs.index)
    groups: Any = obs.groupby(list(outliers.by), observed=True, dropna=False) if outliers.by else [((), obs)]
    for _, group in groups:
        for name in outliers.columns:
            is_out[group.index] |= is_outlier(group[name], outliers.n_mads)
    left: Any = obs[~is_out]
    return left
