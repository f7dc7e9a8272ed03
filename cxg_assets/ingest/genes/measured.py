"""Which genes a dataset has measured, by the presence matrix of the Census."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from cxg_assets.ingest.census.census import Census
from cxg_assets.ingest.errors import CxgError, shown_names
from cxg_assets.ingest.genes.vocabulary import PADDED


def measured_genes(census: Census, experiment: str, dataset_ids: Sequence[str], gene_joinids: np.ndarray) -> np.ndarray:
    """Whether each dataset has measured each gene: (n_datasets, n_vars) bool.

    Memory: the result, and a buffer of the presence matrix. Padded genes are measured nowhere.

    Args:
        census: Open.
        experiment: By the name that `spec.experiment_name` gives it.
        dataset_ids: The datasets, one at least.
        gene_joinids: (n_vars,) int64 soma_joinids of the genes in any order, `PADDED` for padded ones.

    Raises:
        CxgError: The Census has no presence matrix, or does not list a dataset.
    """
    listed = census.datasets(("soma_joinid", "dataset_id"))
    row_of = dict(zip(listed["dataset_id"].to_pylist(), listed["soma_joinid"].to_pylist(), strict=True))
    if unknown := sorted(set(dataset_ids) - row_of.keys()):
        raise CxgError(f"census {census.uri}: census_info/datasets does not list {shown_names(unknown, 5)} of obs")
    presence = census.presence(experiment)
    columns = np.flatnonzero(gene_joinids != PADDED)
    column_of = np.full(presence.shape[1], -1, np.int64)
    column_of[gene_joinids[columns]] = columns
    joinids = np.array([row_of[dataset_id] for dataset_id in dataset_ids], np.int64)
    in_order = np.argsort(joinids)
    measured = np.zeros((len(joinids), len(gene_joinids)), np.bool_)
    for table in presence.read((pa.array(joinids[in_order]),)).tables():
        datasets, genes, values = (table[name].to_numpy() for name in ("soma_dim_0", "soma_dim_1", "soma_data"))
        is_wanted = (column_of[genes] >= 0) & (values != 0)
        rows = in_order[np.searchsorted(joinids[in_order], datasets[is_wanted])]
        measured[rows, column_of[genes[is_wanted]]] = True
    return measured
