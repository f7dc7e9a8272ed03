"""Verifies a published dataset: every object against the manifest, and deeply against the Census itself."""

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anndata
import numpy as np
import pandas as pd

from cxg_assets.ingest.census import Census, CensusLocator
from cxg_assets.ingest.dataset import Dataset
from cxg_assets.ingest.feather import FeatherFile
from cxg_assets.ingest.layout import subset_obs_path, subset_var_path
from cxg_assets.ingest.manifest import read_manifest
from cxg_assets.ingest.pipeline import landed_sizes, load_plan
from cxg_assets.ingest.plan import Chunk, ChunkPlan
from cxg_assets.ingest.store import Store
from cxg_assets.ingest.template import UNS_KEY


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one chunk."""

    chunk: str
    what: str


@dataclass(frozen=True)
class _Truth:
    """What chunks are deeply compared with: the Census, and the cells and genes that the subset selected from it."""

    census: Census
    cells: FeatherFile
    genes: np.ndarray


def verify(
    store: Store, dataset: Dataset, census: CensusLocator | None, on_chunk: Callable[[], object] | None = None
) -> list[Problem]:
    """Compares every chunk of a dataset with its manifest, and with the Census when one is given.

    Args:
        store: The destination.
        dataset: What is published there.
        census: Read every cell of the subset again through `cellxgene_census.get_anndata` and compare; None leaves
            that out.
        on_chunk: Called after each chunk.

    Returns:
        What is wrong, in plan order; empty when all is right.
    """
    plan = load_plan(store, dataset.subset, dataset.plan_id)
    rows = read_manifest(store.get(dataset.manifest_path)).to_pylist()
    sizes = landed_sizes(store, plan)
    problems: list[Problem] = []
    with contextlib.ExitStack() as stack:
        truth = None if census is None else _open_truth(store, plan, census, stack)
        for row in rows:
            problems += [Problem(row["chunk"], what) for what in _check_chunk(store, plan, row, sizes, truth)]
            if on_chunk is not None:
                on_chunk()
    listed = {row["chunk"] for row in rows}
    problems += [Problem(chunk.key, "not in the manifest") for chunk in plan.chunks if chunk.key not in listed]
    return problems


def _open_truth(store: Store, plan: ChunkPlan, census: CensusLocator, stack: contextlib.ExitStack) -> _Truth:
    header = plan.header
    paths = [path(header.subset, header.subset_fingerprint) for path in (subset_obs_path, subset_var_path)]
    files = [
        stack.enter_context(FeatherFile(stack.enter_context(store.local_copy(path)), columns=("soma_joinid",)))
        for path in paths
    ]
    return _Truth(stack.enter_context(census.open()), files[0], files[1].read()["soma_joinid"].to_numpy())


def _check_chunk(
    store: Store, plan: ChunkPlan, row: dict[str, Any], sizes: dict[str, int], truth: _Truth | None
) -> Iterator[str]:
    """What is wrong with one chunk, each finding in words."""
    [chunk] = plan.chunks_of([row["chunk"]])
    path = plan.path(chunk)
    if chunk.key not in sizes:
        yield f"missing: {store.uri(path)} is not there"
        return
    if sizes[chunk.key] != row["n_bytes"]:
        yield f"{store.uri(path)} has {sizes[chunk.key]:,} bytes, the manifest says {row['n_bytes']:,}"
        return
    data = store.get(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != row["sha256"]:
        yield f"{store.uri(path)} has SHA-256 {sha256[:12]}…, the manifest says {row['sha256'][:12]}…"
        return
    if truth is not None:
        yield from _compare(_read(data), truth, plan, chunk)


def _read(data: bytes) -> anndata.AnnData:
    file: Any = io.BytesIO(data)  # anndata reads file objects, but only says so of paths
    return anndata.read_h5ad(file)


def _compare(adata: anndata.AnnData, truth: _Truth, plan: ChunkPlan, chunk: Chunk) -> Iterator[str]:
    """Compares a chunk with what the Census's own client returns for the cells and genes that it should have."""
    import cellxgene_census

    header = plan.header
    expected = cellxgene_census.get_anndata(
        truth.census.root,
        header.organism,
        X_name=header.layer,
        obs_coords=truth.cells.rows(chunk.row_start, chunk.row_stop)["soma_joinid"].to_numpy(),
        var_coords=truth.genes,
        obs_column_names=["soma_joinid", *header.obs_columns],
    )
    for axis in ("obs", "var"):
        mine, theirs = getattr(adata, axis).reset_index(drop=True), getattr(expected, axis).reset_index(drop=True)
        try:
            pd.testing.assert_frame_equal(mine, theirs)
        except AssertionError as error:
            yield f"{axis} differs from the Census: {' '.join(str(error).split())}"
    if adata.obs_names.tolist() != expected.obs["soma_joinid"].astype(str).tolist():
        yield "obs_names are not the soma_joinids of the cells"
    if adata.shape != expected.shape:
        yield f"X has shape {adata.shape}, the Census gives {expected.shape}"
        return
    for part in ("indptr", "indices", "data"):
        if not np.array_equal(getattr(adata.X, part), getattr(expected.X, part)):
            yield f"X differs from the Census in its {part}"
    if adata.uns[UNS_KEY]["census_uri"] != truth.census.uri:
        yield f"made from {adata.uns[UNS_KEY]['census_uri']}, compared with {truth.census.uri}"
