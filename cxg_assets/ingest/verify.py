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
from cxg_assets.ingest.manifest import read_manifest
from cxg_assets.ingest.pipeline import landed_sizes, load_plan
from cxg_assets.ingest.plan import ChunkPlan
from cxg_assets.ingest.store import Store
from cxg_assets.ingest.template import UNS_KEY


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one chunk."""

    chunk: str
    what: str


def verify(
    store: Store, dataset: Dataset, census: CensusLocator | None, on_chunk: Callable[[], object] | None = None
) -> list[Problem]:
    """Compares every chunk of a dataset with its manifest, and with the Census when one is given.

    Args:
        store: The destination.
        dataset: What is published there.
        census: Read every cell again through `cellxgene_census.get_anndata` and compare; None leaves that out.
        on_chunk: Called after each chunk.

    Returns:
        What is wrong, in plan order; empty when all is right.
    """
    plan = load_plan(store, dataset.subset, dataset.plan_id)
    rows = read_manifest(store.get(dataset.manifest_path)).to_pylist()
    sizes = landed_sizes(store, plan)
    problems: list[Problem] = []
    with contextlib.ExitStack() as stack:
        opened = None if census is None else stack.enter_context(census.open())
        for row in rows:
            problems += [Problem(row["chunk"], what) for what in _check_chunk(store, plan, row, sizes, opened)]
            if on_chunk is not None:
                on_chunk()
    listed = {row["chunk"] for row in rows}
    problems += [Problem(chunk.key, "not in the manifest") for chunk in plan.chunks if chunk.key not in listed]
    return problems


def _check_chunk(
    store: Store, plan: ChunkPlan, row: dict[str, Any], sizes: dict[str, int], census: Census | None
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
    if census is not None:
        yield from _compare(_read(data), census, plan)


def _read(data: bytes) -> anndata.AnnData:
    file: Any = io.BytesIO(data)  # anndata reads file objects, but only says so of paths
    return anndata.read_h5ad(file)


def _compare(adata: anndata.AnnData, census: Census, plan: ChunkPlan) -> Iterator[str]:
    """Compares a chunk with what the Census's own client returns for the same cells and genes."""
    import cellxgene_census

    header = plan.header
    expected = cellxgene_census.get_anndata(
        census.root,
        header.organism,
        X_name=header.layer,
        obs_coords=adata.obs["soma_joinid"].to_numpy(),
        var_coords=adata.var["soma_joinid"].to_numpy(),
        obs_column_names=["soma_joinid", *header.obs_columns],
    )
    for axis in ("obs", "var"):
        mine, theirs = getattr(adata, axis).reset_index(drop=True), getattr(expected, axis).reset_index(drop=True)
        try:
            pd.testing.assert_frame_equal(mine, theirs)
        except AssertionError as error:
            yield f"{axis} differs from the Census: {' '.join(str(error).split())}"
    if adata.shape != expected.shape:
        yield f"X has shape {adata.shape}, the Census gives {expected.shape}"
        return
    for part in ("indptr", "indices", "data"):
        if not np.array_equal(getattr(adata.X, part), getattr(expected.X, part)):
            yield f"X differs from the Census in its {part}"
    if adata.uns[UNS_KEY]["census_uri"] != census.uri:
        yield f"made from {adata.uns[UNS_KEY]['census_uri']}, compared with {census.uri}"
