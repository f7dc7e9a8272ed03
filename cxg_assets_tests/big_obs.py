"""A census index of a million cells and more, made in a second: columns, labels and order as the Census has them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cxg_assets.demo.layout import OBS_COLUMNS, OBS_TEXT_COLUMNS, obs_schema
from cxg_assets.ingest.census.repeated_cells import RepeatedCells
from cxg_assets.ingest.storage.feather import write_feather

N_LABELS = {
    "cell_type": 800,
    "development_stage": 180,
    "disease": 120,
    "donor_id": 15_000,
    "tissue": 350,
    "tissue_general": 70,
    "assay": 40,
    "self_reported_ethnicity": 40,
    "sex": 3,
    "suspension_type": 2,
    "tissue_type": 3,
}
"""About as many as obs of the human cells of the build 2025-11-08."""

CELLS_OF_A_DATASET = 65_536
"""On average, as there: so many datasets share a batch of the index as they do there."""

DONORS_OF_A_DATASET = 16
PRIMARY_DATASETS = 3
"""Of so many datasets the cells of one are not primary."""

_BASE85 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"


def write_big_index(path: Path, n_obs: int, seed: int = 0) -> None:
    """Writes one.

    Datasets lie one behind the other, as in the Census; tissue, assay and the like are those of the dataset, what
    tells of a person is the donor's, and cell types vary within a dataset.

    Args:
        path: Written.
        n_obs: Rows.
        seed: Of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    n_labels = {"dataset_id": max(n_obs // CELLS_OF_A_DATASET, 1), **N_LABELS}
    labels = {name: pa.array([f"{name} {i:05d}" for i in range(n)], pa.large_string()) for name, n in n_labels.items()}
    types = {name: pa.dictionary(pa.int16(), pa.large_string()) for name in OBS_TEXT_COLUMNS}
    schema = obs_schema(types)
    sizes = rng.lognormal(0, 1, n_labels["dataset_id"])
    ends = np.rint(np.cumsum(sizes) / sizes.sum() * n_obs).astype(int)
    of_dataset = {name: rng.integers(0, n, n_labels["dataset_id"]) for name, n in N_LABELS.items()}

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, n_obs, 100_000):
            rows = np.arange(start, min(start + 100_000, n_obs))
            of_rows = _values(rng, rows, np.searchsorted(ends, rows, side="right"), of_dataset)
            columns = {name: pa.array(values) for name, values in of_rows.items()}
            for name in OBS_TEXT_COLUMNS:
                term = name.removesuffix("_ontology_term_id")
                codes = pa.array(of_rows[term].astype(np.int16))
                columns[name] = pa.DictionaryArray.from_arrays(codes, labels[term])
            yield pa.RecordBatch.from_arrays([columns[name] for name in OBS_COLUMNS], schema=schema)

    cells = RepeatedCells(schema)
    write_feather(path, cells.seen(batches()), schema, note=cells.note)


def _values(
    rng: np.random.Generator, rows: np.ndarray, dataset: np.ndarray, of_dataset: dict[str, np.ndarray]
) -> dict[str, Any]:
    """The values of some rows, of text columns the codes."""
    n_rows = len(rows)
    donor = (dataset * DONORS_OF_A_DATASET + rng.integers(0, DONORS_OF_A_DATASET, n_rows)) % N_LABELS["donor_id"]
    nnz = rng.lognormal(7.2, 0.6, n_rows).astype(np.int64)
    raw_sum = np.rint(nnz * rng.lognormal(1, 0.3, n_rows))
    of_donor = ("development_stage", "disease", "self_reported_ethnicity", "sex")
    ids = np.frombuffer(_BASE85, np.uint8)[rng.integers(0, len(_BASE85), 10 * n_rows)]
    offsets = np.arange(0, ids.size + 1, 10, dtype=np.int64)
    return {
        **{name: codes[dataset] for name, codes in of_dataset.items()},
        **{name: donor * 7 % N_LABELS[name] for name in of_donor},
        "soma_joinid": rows,
        "dataset_id": dataset,
        "donor_id": donor,
        "cell_type": (of_dataset["cell_type"][dataset] + rng.poisson(6, n_rows)) % N_LABELS["cell_type"],
        "tissue": (of_dataset["tissue"][dataset] + donor % 3) % N_LABELS["tissue"],
        "is_primary_data": dataset % PRIMARY_DATASETS > 0,
        "observation_joinid": pa.LargeStringArray.from_buffers(n_rows, pa.py_buffer(offsets), pa.py_buffer(ids)),
        "raw_sum": raw_sum,
        "nnz": nnz,
        "raw_mean_nnz": raw_sum / np.maximum(nnz, 1),
        "raw_variance_nnz": rng.lognormal(3, 1, n_rows),
        "n_measured_vars": 20_000 + 3 * dataset,
    }
