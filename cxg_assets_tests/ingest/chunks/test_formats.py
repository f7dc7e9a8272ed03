"""Chunks are ordinary h5ad: every reader that their users have opens them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata.experimental import AnnCollection, read_lazy

from cxg_assets.ingest.spec import COMPRESSIONS, SubsetSpec
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingested import Ingested

open_lazily: Any = read_lazy  # its declared types are those of a dispatcher

_PLAIN_H5PY = """
import json, sys
sys.modules["hdf5plugin"] = None  # importing it would fail
import h5py
with h5py.File(sys.argv[1]) as file:
    x = file["X"]
    codes = file["obs/cell_type/codes"][:]
    print(json.dumps({
        "sum": float(x["data"][:].sum()),
        "columns": int(x["indices"][:].sum()),
        "indptr": x["indptr"][:].tolist(),
        "cells": file["obs/_index"].asstr()[:].tolist(),
        "cell_types": file["obs/cell_type/categories"].asstr()[:][codes].tolist(),
        "genes": file["var/feature_id"].asstr()[:].tolist(),
    }))
"""


@pytest.fixture(scope="module")
def by_compression(
    ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Ingested]:
    folder = tmp_path_factory.mktemp("formats")
    return {
        compression: ingest(spec(max_obs=120, chunk_size=70, compression=compression), (folder / compression).as_uri())
        for compression in COMPRESSIONS
    }


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_backed_reading_gives_the_same_cells(by_compression: dict[str, Ingested], compression: str) -> None:
    ingested = by_compression[compression]
    chunk = ingested.plan.chunks[0]
    whole = ingested.read(chunk)

    backed: Any = anndata.read_h5ad(ingested.file(chunk), backed="r")

    assert backed.isbacked
    np.testing.assert_array_equal(backed.X[10:40].toarray(), whole.X[10:40].toarray())
    pd.testing.assert_frame_equal(backed.obs, whole.obs)
    assert backed[[3, 60]].to_memory().obs_names.tolist() == whole.obs_names[[3, 60]].tolist()
    backed.file.close()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_lazy_reading_gives_the_same_cells(by_compression: dict[str, Ingested], compression: str) -> None:
    ingested = by_compression[compression]
    chunk = ingested.plan.chunks[1]
    whole = ingested.read(chunk)

    with h5py.File(ingested.file(chunk)) as file:
        loaded = open_lazily(file)[5:20].to_memory()

    np.testing.assert_array_equal(loaded.X.toarray(), whole.X[5:20].toarray())
    assert loaded.obs_names.tolist() == whole.obs_names[5:20].tolist()
    assert loaded.obs["cell_type"].astype(str).tolist() == whole.obs["cell_type"][5:20].astype(str).tolist()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_collection_joins_the_chunks(by_compression: dict[str, Ingested], compression: str) -> None:
    ingested = by_compression[compression]
    chunks = [ingested.read(chunk) for chunk in ingested.plan.chunks]

    collection: Any = AnnCollection(chunks, join_vars="inner", join_obs="inner")

    assert collection.shape == (120, ingested.plan.header.subset.n_vars)
    assert collection.obs_names.is_unique
    everything = sp.vstack([chunk.X for chunk in chunks]).tocsr()
    rows = [100, 3, 69, 70]
    np.testing.assert_array_equal(collection[rows].X.toarray(), everything[rows].toarray())


def test_chunks_concatenate_without_losing_categories(blood: Ingested) -> None:
    chunks = [blood.read(chunk) for chunk in blood.plan.chunks]

    joined: Any = anndata.concat(chunks, merge="same")

    assert joined.n_obs == blood.plan.header.subset.n_obs
    assert joined.obs_names.is_unique
    assert joined.obs["cell_type"].dtype == chunks[0].obs["cell_type"].dtype
    pd.testing.assert_frame_equal(joined.var, chunks[0].var)


@pytest.mark.parametrize("compression", ["gzip", "lzf", "none"])
def test_plain_h5py_without_plugins_reads_everything(by_compression: dict[str, Ingested], compression: str) -> None:
    ingested = by_compression[compression]
    chunk = ingested.plan.chunks[0]
    whole = ingested.read(chunk)
    environment = {name: value for name, value in os.environ.items() if name != "HDF5_PLUGIN_PATH"}

    run = subprocess.run(
        [sys.executable, "-c", _PLAIN_H5PY, str(ingested.file(chunk))],
        check=True,
        capture_output=True,
        text=True,
        env=environment | {"HDF5_PLUGIN_PRELOAD": "::"},
    )

    assert json.loads(run.stdout) == {
        "sum": float(whole.X.data.sum()),
        "columns": int(whole.X.indices.sum()),
        "indptr": whole.X.indptr.tolist(),
        "cells": whole.obs_names.tolist(),
        "cell_types": whole.obs["cell_type"].tolist(),
        "genes": whole.var["feature_id"].tolist(),
    }


def test_every_compression_holds_the_same_cells(by_compression: dict[str, Ingested]) -> None:
    for number in (0, 1):
        first, *others = (ingested.read(ingested.plan.chunks[number]) for ingested in by_compression.values())
        for other in others:
            assert (first.X != other.X).nnz == 0
            pd.testing.assert_frame_equal(first.obs, other.obs)
            pd.testing.assert_frame_equal(first.var, other.var)
    sizes = {name: sum(report.n_bytes for report in made.reports) for name, made in by_compression.items()}
    assert max(sizes, key=lambda name: sizes[name]) == "none"
