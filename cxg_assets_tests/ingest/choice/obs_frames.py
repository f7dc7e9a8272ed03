"""Random obs for tests of samples, splits and orders, as the index holds it and as pandas does."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from cxg_assets.ingest.choice.draws import Batches


def make_obs(n_obs: int, seed: int, n_labels: Sequence[int] = (5, 3, 11)) -> pd.DataFrame:
    """Cells with gaps between their joinids, labels of unequal size, and some missing."""
    rng = np.random.default_rng(seed)
    columns = {}
    for name, n in zip(("cell_type", "tissue", "donor_id"), n_labels, strict=True):
        labels = np.array([None, *(f"{name} {i}" for i in range(n))], object)
        columns[name] = labels[
            np.minimum(rng.geometric(0.4, n_obs), n) if name == "cell_type" else rng.integers(0, n + 1, n_obs)
        ]
    return pd.DataFrame({"soma_joinid": np.sort(rng.choice(20 * n_obs + 1, n_obs, replace=False)), **columns})


def batches_of(obs: pd.DataFrame, n_rows: int, *, as_dictionary: bool = True) -> Batches:
    """The frame in record batches of so many rows."""
    table = pa.Table.from_pandas(obs, preserve_index=False)
    if as_dictionary:
        for i, name in enumerate(table.column_names):
            if pa.types.is_string(table[name].type) or pa.types.is_large_string(table[name].type):
                table = table.set_column(i, name, table[name].combine_chunks().dictionary_encode())
    return lambda: iter(table.to_batches(max_chunksize=n_rows))


def joined(batches: Iterator[pa.RecordBatch], of_batch) -> np.ndarray:
    """What a function gives for all batches, one after the other."""
    return np.concatenate([of_batch(batch) for batch in batches])


OBS = st.builds(make_obs, st.integers(1, 300), st.integers(0, 50))
CUTS = st.integers(1, 400)
"""Rows of a batch."""
