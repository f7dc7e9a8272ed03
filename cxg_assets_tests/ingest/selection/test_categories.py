"""A subset has the categories of its cells, and every chunk has all of them in one order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cxg_assets.ingest.layout import subset_obs_path
from cxg_assets.ingest.sampling import ORDERS, Order, Split
from cxg_assets.ingest.selection.categories import categories_of, find_recodings, recoded
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile, feather_source, write_feather
from cxg_assets_tests.categories import used
from cxg_assets_tests.conftest import Ingest

N_OBS, ROWS_PER_BATCH = 300, 64
VALUES = {
    "cell_type": ["T cell", "B cell", "Ärzte", "never used", "B cell", None, "a"],
    "stage": ["old", "young", "never used", "middle"],
    "alone": ["x"],
}


def obs_table(rng: np.random.Generator) -> pa.Table:
    """Columns whose dictionaries have a value twice, a missing one and some that no cell has; `stage` is ordered."""
    columns: dict[str, Any] = {"soma_joinid": pa.array(range(N_OBS), pa.int64())}
    for name, values in VALUES.items():
        codes = rng.choice([place for place, value in enumerate(values) if value != "never used"], N_OBS)
        kind = {"cell_type": pa.int16(), "stage": pa.uint8(), "alone": pa.int8()}[name]
        indices = pa.array(codes, kind, mask=rng.random(N_OBS) < 0.1)
        columns[name] = pa.DictionaryArray.from_arrays(indices, pa.array(values), ordered=name == "stage")
    return pa.table({**columns, "donor_id": [f"donor {row % 7}" for row in range(N_OBS)]})


@pytest.mark.parametrize("seed", range(6))
def test_categories_are_those_of_the_rows_as_pandas_has_them(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    whole = obs_table(rng)
    path, columns = tmp_path / "obs.feather", whole.schema.names
    write_feather(path, iter(whole.to_batches()), whole.schema, ROWS_PER_BATCH)
    n_of_batches = [min(ROWS_PER_BATCH, N_OBS - start) for start in range(0, N_OBS, ROWS_PER_BATCH)]
    # Of the first seeds a few rows, so that more categories go; also batches without one.
    rows = [np.flatnonzero(rng.random(n) < 0.02 * 4**seed).astype(np.int32) for n in n_of_batches]
    rows[0] = np.array([1], np.int32)

    with FeatherFile(path, columns=columns) as file:
        batches = (
            batch.select(columns).take(pa.array(positions))
            for batch, positions in zip(file.batches(), rows, strict=True)
        )
        made = pa.Table.from_batches(list(recoded(batches, find_recodings(path, rows, columns))))

    kept = np.concatenate([positions + start * ROWS_PER_BATCH for start, positions in enumerate(rows)])
    expected = whole.take(pa.array(kept))
    assert made.schema == whole.schema
    for name in columns:
        assert made[name].to_pylist() == expected[name].to_pylist()
    frame = pd.DataFrame({name: expected[name].to_pylist() for name in VALUES})
    for name in VALUES:
        in_order = VALUES[name] if name == "stage" else used(frame[name])
        [categories] = {tuple(chunk.dictionary.to_pylist()) for chunk in made[name].chunks}
        assert list(categories) == [value for value in in_order if value in set(frame[name])]


def test_an_obs_file_tells_its_categories_without_its_rows(tmp_path: Path) -> None:
    whole = obs_table(np.random.default_rng(0))
    write_feather(tmp_path / "obs.feather", iter(whole.to_batches()), whole.schema)

    told = categories_of(tmp_path / "obs.feather", ["cell_type", "donor_id", "alone", "not there"])

    assert told == {"cell_type": ["T cell", "B cell", "Ärzte", "never used", "a"], "alone": ["x"]}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("by", [None, "donor_id"])
def test_codes_are_the_same_in_every_chunk_whatever_its_cells(
    order: str, by: str | None, ingest: Ingest, spec: Callable[..., SubsetSpec], store_url: str
) -> None:
    split = None if by is None else Split(by=(by,), shares={"train": 0.7, "test": 0.3})
    columns = ("cell_type", "tissue", "donor_id", "dataset_id")
    made = ingest(
        spec(max_obs=180, chunk_size=25, obs_columns=columns, order=Order(kind=order), split=split), store_url
    )

    assert made.failures == ()
    whole = pd.concat([made.read(chunk).obs.astype(str) for chunk in made.plan.chunks])
    assert len(whole) == 180
    assert whole["cell_type"].nunique() > 3
    for name in columns:
        for chunk in made.plan.chunks:
            with h5py.File(made.file(chunk)) as file:
                of_chunk: Any = file[f"obs/{name}"]
                assert of_chunk["categories"].asstr()[:].tolist() == used(whole[name])
    obs = feather_source(made.store, subset_obs_path(made.subset.name, made.subset.fingerprint))
    assert categories_of(obs, columns) == {name: used(whole[name]) for name in columns}
