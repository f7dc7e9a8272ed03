"""What an index knows of cells that are there twice, compared with pandas."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.census.repeated_cells import CELL, RepeatedCells, has_none
from cxg_assets.ingest.layout import index_path
from cxg_assets.ingest.selection.index import make_index
from cxg_assets.ingest.storage.feather import FeatherFile, feather_source, write_feather
from cxg_assets.ingest.storage.store import Store


def count(cells: pd.DataFrame, batch_size: int = 1_000) -> int | None:
    table = pa.Table.from_pandas(cells, preserve_index=False)
    seen = RepeatedCells(table.schema)
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


def test_an_index_says_so_itself_and_no_longer_when_its_rows_are_written_anew(
    release: Release, index_store: Store, tmp_path: Path
) -> None:
    make_index(release.locator({}), release, "homo_sapiens", index_store)
    source = feather_source(index_store, index_path(release.version, "homo_sapiens"))
    with FeatherFile(source) as index:
        rows = index.read()
        assert index.note == {"n_repeated_cells": "0"}
        assert has_none(index.note)
    write_feather(tmp_path / "anew", rows.to_batches(), rows.schema)

    with FeatherFile(tmp_path / "anew") as anew:
        assert anew.read().equals(rows)
        assert not has_none(anew.note)
