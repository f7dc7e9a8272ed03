"""Whom to cite: the source datasets that a subset's cells come from."""

import io
from collections import Counter

import pyarrow as pa
import pyarrow.csv

from cxg_assets.ingest.selection.label_counts import count_labels
from cxg_assets.ingest.storage.feather import FeatherSource

COLUMNS = ("dataset_id", "dataset_title", "collection_name", "collection_doi", "citation")


def count_datasets(obs: FeatherSource) -> Counter[str]:
    """Cells of each source dataset in a subset's obs file; empty where the Census has no dataset_id."""
    return count_labels(obs, ["dataset_id"]).get("dataset_id", Counter())


def citations_csv(counts: Counter[str], datasets: pa.Table) -> bytes:
    """The table of source datasets, most cells first.

    Args:
        counts: Cells of each dataset_id.
        datasets: `census_info/datasets`.
    """
    known = {row["dataset_id"]: row for row in datasets.to_pylist()}
    rows = [
        {column: known.get(dataset_id, {}).get(column, "") for column in COLUMNS}
        | {"dataset_id": dataset_id, "n_obs": n_obs}
        for dataset_id, n_obs in counts.most_common()
    ]
    schema = pa.schema([*((column, pa.string()) for column in COLUMNS), ("n_obs", pa.int64())])
    sink = io.BytesIO()
    pyarrow.csv.write_csv(pa.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue()
