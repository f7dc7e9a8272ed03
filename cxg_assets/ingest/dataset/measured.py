"""Which genes each source dataset has measured: a zero of X is a count only where its gene was."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cxg_assets.ingest.census.census import Census
from cxg_assets.ingest.genes.measured import measured_genes
from cxg_assets.ingest.genes.of_cells import DATASET
from cxg_assets.ingest.storage.feather import FeatherFile, FeatherSource, count_labels

SCHEMA = pa.schema([("dataset_id", pa.string()), ("n_measured", pa.int64()), ("measured", pa.list_(pa.bool_()))])
"""Of measured.parquet: a row a dataset; `measured` has a value for each gene of X, in its order."""


def measured_parquet(obs: FeatherSource, var: FeatherSource, census: Census, experiment: str) -> bytes | None:
    """The measured genes of the datasets of a subset's cells, by dataset_id; None where the Census does not tell.

    Memory: a byte for each gene of each dataset.

    Args:
        obs: The subset's obs file.
        var: Its var file; padded genes are measured nowhere.
        census: Open.
        experiment: By the name that `spec.experiment_name` gives it.
    """
    if not census.has_presence(experiment):
        return None
    listed = set(census.datasets((DATASET,))[DATASET].to_pylist())
    dataset_ids = sorted(listed & count_labels(obs, [DATASET]).get(DATASET, {}).keys())
    if not dataset_ids:
        return None
    with FeatherFile(var, columns=("soma_joinid",)) as file:
        gene_joinids = file.read()["soma_joinid"].to_numpy()
    measured = measured_genes(census, experiment, dataset_ids, gene_joinids)
    ends = np.arange(len(dataset_ids) + 1, dtype=np.int32) * len(gene_joinids)
    lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(measured.reshape(-1)))
    table = pa.table([dataset_ids, measured.sum(axis=1), lists], schema=SCHEMA)
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
