"""What an index knows of cells that are there twice, compared with pandas."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cxg_assets.ingest.index import CensusIndex
from cxg_assets.ingest.layout import index_json_path
from cxg_assets.ingest.pipeline import make_index
from cxg_assets.ingest.release import Release
from cxg_assets.ingest.repeated_cells import CELL, RepeatedCells
from cxg_assets.ingest.store import Store


def count(cells: pd.DataFrame, batch_size: int = 1_000) -> int | None:
    table = pa.Table.from_pandas(cells, preserve_index=False)
    seen = RepeatedCells(len(cells), table.schema)
    batches = list(seen.seen(table.to_batches(max_chunksize=batch_size)))
    assert pa.Table.from_batches(batches).equals(table)  # what passes by is handed on as it is
    return seen.count()


@pytest.mark.parametrize("n_names", [50, 3_000, 10_000_000])
def test_as_many_cells_are_repeated_as_pandas_finds(n_names: int) -> None:
    rng = np.random.default_rng(n_names)
    cells = pd.DataFrame(
        {
            "dataset_id": [f"dataset {number}" for number in rng.integers(0, 9, 5_000)],
            "observation_joinid": [f"{number:010x}" for number in rng.integers(0, n_names, 5_000)],
        }
    )

    assert count(cells) == int(cells.duplicated(list(CELL)).sum())
    assert count(cells.drop_duplicates()) == 0


def test_obs_without_what_tells_cells_apart_is_not_judged() -> None:
    assert count(pd.DataFrame({"dataset_id": ["a", "a"]})) is None


def test_an_index_knows_and_one_of_an_earlier_version_does_not(release: Release, index_store: Store) -> None:
    index = make_index(release.locator({}), release, "homo_sapiens", index_store)
    assert index.n_repeated_cells == 0

    text = index_store.get(index_json_path(release.version, "homo_sapiens")).decode()
    earlier = text.replace(',\n "n_repeated_cells": 0', "")
    assert "n_repeated_cells" in text
    assert CensusIndex.from_json(earlier.encode()).n_repeated_cells is None
