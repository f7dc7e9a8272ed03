"""A subset's cells are looked up in its index: unknown, not primary and repeated ones are counted as pandas does."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cxg_assets.ingest.layout import index_path, subset_obs_path, subset_var_path
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.records import encode
from cxg_assets.ingest.selection.index import CensusIndex
from cxg_assets.ingest.selection.subset import Subset
from cxg_assets.ingest.storage.feather import ROWS_PER_BATCH, write_feather
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets.ingest.verify.selection import SubsetFindings, verify_subset
from cxg_assets_tests.ingest.plan.test_chunk_plan import LAYERS, RELEASE, selection_of
from cxg_assets_tests.ingest.plan.test_chunk_plan import SPEC as SPEC_OF_PLANS

SPEC = replace(SPEC_OF_PLANS, chunk_size=10_000)
DICTIONARY = pa.dictionary(pa.int16(), pa.large_string())
N = 2 * ROWS_PER_BATCH + 77
"""Rows of the index: two batches, and a part of one."""
N_BIG = 3_000_000
BYTES_PER_CELL = 40
"""17 of the arrays; at this size the batches that are decoded take most of the rest."""


def make_index(n_obs: int = N) -> pd.DataFrame:
    """The index of a release without a fault."""
    return pd.DataFrame(
        {
            "soma_joinid": np.arange(n_obs),
            "dataset_id": [f"dataset {number % 7}" for number in range(n_obs)],
            "is_primary_data": np.arange(n_obs) % 3 > 0,
            "observation_joinid": [f"{number:010x}" for number in range(n_obs)],
        }
    )


def verify(
    folder: Path,
    index: pd.DataFrame,
    joinids: np.ndarray,
    *,
    types: Mapping[str, pa.DataType] | None = None,
    value_filter: str | None = None,
) -> SubsetFindings:
    """Verifies a subset of these cells, of an index with text of these types."""
    types = {"dataset_id": DICTIONARY, "observation_joinid": pa.large_string(), **(types or {})}
    table = pa.table({name: pa.array(index[name], types.get(name)) for name in index})
    store, subset, about_index = store_both(folder, table, joinids, value_filter)
    return verify_subset(subset, SPEC.name, store, about_index, store)


def store_both(
    folder: Path, index: pa.Table, joinids: np.ndarray, value_filter: str | None = None
) -> tuple[Store, Subset, CensusIndex]:
    """Stores an index and a subset of these cells, as the two steps do."""
    about_index = CensusIndex(
        release=RELEASE, organism=SPEC.organism, n_obs=len(index), n_bytes=1, columns=tuple(index.schema.names)
    )
    subset = Subset(
        name=SPEC.name,
        release=RELEASE,
        selection=selection_of(replace(SPEC, value_filter=value_filter)),
        fingerprint="5" * 64,
        n_obs=len(joinids),
        n_obs_before=len(index),
        n_vars=3,
        n_vars_before=3,
        layers=LAYERS,
    )
    cells = pa.table({"soma_joinid": np.asarray(joinids, np.int64)})
    for path, table in {
        index_path(RELEASE.version, SPEC.organism): index,
        subset_obs_path(SPEC.name, subset.fingerprint): cells,
        subset_var_path(SPEC.name, subset.fingerprint): cells.slice(0, 3),
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_feather(folder / path, table.combine_chunks().to_batches(), table.schema)
    return StoreLocator(url=folder.as_uri()).open(), subset, about_index


def counted(found: SubsetFindings) -> dict[str, Any]:
    """What was counted, by name."""
    names = ("n_not_primary", "n_same_soma_joinid", "n_same_observation_joinid_in_dataset")
    facts = {**found.primary.facts, **found.duplicates.facts}
    return {name: facts[name] for name in names}


def of_pandas(index: pd.DataFrame, joinids: np.ndarray) -> dict[str, int]:
    """The same by pandas."""
    selected = index[np.isin(index["soma_joinid"].to_numpy(), joinids)]
    cells = selected.filter(["dataset_id", "observation_joinid"])
    return {
        "n_not_primary": int((~selected["is_primary_data"]).sum()),
        "n_same_soma_joinid": int(pd.Series(joinids).duplicated().sum()),
        "n_same_observation_joinid_in_dataset": int(cells.duplicated().sum()),
    }


def test_a_subset_without_a_fault_passes(tmp_path: Path) -> None:
    found = verify(tmp_path, make_index(), np.arange(0, N, 2))
    assert (found.contents.message, found.primary.message, found.duplicates.message) == ("", "", "")
    assert counted(found) == of_pandas(make_index(), np.arange(0, N, 2))


@pytest.mark.parametrize(("one", "other"), [(14, 21), (14, N - 3), (ROWS_PER_BATCH - 1, ROWS_PER_BATCH + 6)])
@pytest.mark.parametrize("data_type", [pa.large_string(), pa.string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_a_cell_that_a_dataset_has_twice_is_found_however_far_apart(
    tmp_path: Path, one: int, other: int, data_type: pa.DataType
) -> None:
    index = make_index()
    for column in ("dataset_id", "observation_joinid"):
        index.loc[other, column] = index.loc[one, column]
    types = {"observation_joinid": data_type, "dataset_id": data_type}
    found = verify(tmp_path, index, np.arange(N), types=types)
    assert "1 cell with dataset_id and observation_joinid of another" in found.duplicates.message
    assert found.contents.passed
    # Not in the subset: nothing that it has twice.
    assert verify(tmp_path, index, np.delete(np.arange(N), other), types=types).duplicates.passed


def test_one_observation_joinid_in_two_datasets_is_no_duplicate(tmp_path: Path) -> None:
    index = make_index()
    index["observation_joinid"] = index["observation_joinid"].to_numpy()[np.arange(N) // 7]
    assert verify(tmp_path, index, np.arange(N)).duplicates.passed


@pytest.mark.parametrize("places", [(10, 11), (0, N - 1), (ROWS_PER_BATCH - 1, ROWS_PER_BATCH)])
def test_a_joinid_that_the_subset_has_twice_is_found_and_looked_up_once(
    tmp_path: Path, places: tuple[int, int]
) -> None:
    joinids = np.arange(N)
    joinids[places[1]] = joinids[places[0]]
    found = verify(tmp_path, make_index(), joinids)
    assert found.duplicates.message.startswith("1 cell with the soma_joinid of another; ")
    assert counted(found) == of_pandas(make_index(), joinids)
    assert found.contents.passed


def test_cells_that_the_index_does_not_have_are_counted(tmp_path: Path) -> None:
    index = make_index().drop(index=[5, 6, ROWS_PER_BATCH])
    joinids = np.array([-3, 4, 5, 6, 7, ROWS_PER_BATCH, N + 9])
    found = verify(tmp_path, index, joinids)
    assert found.contents.message == "5 cells missing in the census index; materialize filtered_subset again"


def test_a_joinid_that_the_index_has_twice_is_looked_up_once(tmp_path: Path) -> None:
    index = make_index()
    index.loc[[3, N - 1], "soma_joinid"] = 2
    found = verify(tmp_path, index, np.array([1, 2, 4]))
    assert found.contents.passed
    assert counted(found)["n_not_primary"] == 0
    assert found.duplicates.passed


def test_missing_texts_are_equal_to_each_other(tmp_path: Path) -> None:
    index = make_index(70)
    index.loc[[7, 14, 15], "observation_joinid"] = None  # two of one dataset, one of another
    found = verify(tmp_path, index, np.arange(70))
    assert counted(found)["n_same_observation_joinid_in_dataset"] == 1


def test_an_index_of_a_build_without_these_columns_is_looked_up_all_the_same(tmp_path: Path) -> None:
    found = verify(tmp_path, make_index().filter(["soma_joinid"]), np.array([0, N]))
    assert "1 cell missing in the census index" in found.contents.message
    assert "not_looked_at" in found.primary.facts
    assert "not_looked_at" in found.duplicates.facts


@pytest.mark.parametrize("seed", range(5))
def test_random_subsets_of_random_indexes_are_counted_as_by_pandas(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    index = make_index()
    index["soma_joinid"] = np.sort(rng.choice(3 * N, N, replace=False))
    index["dataset_id"] = rng.choice(np.array(["one", "two", "three", None]), N, p=[0.5, 0.3, 0.1999, 0.0001])
    index["observation_joinid"] = index["observation_joinid"].to_numpy()[rng.integers(0, N, N)]
    index["is_primary_data"] = rng.random(N) < 0.9
    joinids = index["soma_joinid"].to_numpy()[np.sort(rng.choice(N, int(rng.integers(1, N)), replace=False))]
    if seed > 1:  # Nothing that this project writes is so; what is damaged may be.
        joinids = rng.choice(joinids, len(joinids))
    if seed > 2:
        index = index.sample(frac=1, random_state=seed, ignore_index=True)
    found = verify(tmp_path, index, joinids)
    assert found.contents.passed
    assert counted(found) == of_pandas(index, joinids)


def test_checks_of_a_subset_and_its_plan_keep_few_bytes_a_cell(tmp_path: Path) -> None:
    joinids = np.arange(N_BIG)
    ids = pa.array(np.char.mod("%010x", joinids).astype("S10")).cast(pa.large_string())
    columns = {
        "soma_joinid": joinids,
        "dataset_id": pa.DictionaryArray.from_arrays(joinids % 7, [f"dataset {number}" for number in range(7)]),
        "is_primary_data": np.ones(N_BIG, np.bool_),
        "observation_joinid": ids,
    }
    store, subset, index = store_both(tmp_path, pa.table(columns), joinids, "is_primary_data == True")
    plan = store_plan(replace(SPEC, value_filter="is_primary_data == True"), subset, store)
    arguments = [store.url, encode(subset).decode(), encode(index).decode(), plan.header.plan_id]
    command = [sys.executable, "-m", "cxg_assets_tests.ingest.verify.verify_memory", *arguments]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown / N_BIG < BYTES_PER_CELL
