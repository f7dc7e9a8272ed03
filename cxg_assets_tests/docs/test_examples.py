"""The examples are copied to where Dagster looks for definitions, as a user would, and run there."""

import importlib
import shutil
from pathlib import Path
from typing import Any

import cellxgene_census
import dagster as dg
import numpy as np
import pandas as pd
import pytest
import tiledbsoma as soma

from cxg_assets_tests.platforms import Platform
from cxg_assets_tests.references import scanpy

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
QC = dg.AssetKey(["blood_normal", "qc_metrics"])


@pytest.fixture
def with_example(published: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    """The definitions of a project that has the example in its `defs/`."""
    scanpy()
    defs = tmp_path / "project_with_examples" / "defs"
    shutil.copytree(EXAMPLES, defs)
    for folder in (defs, defs.parent):
        (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    tree = dg.ComponentTree.from_module(importlib.import_module("project_with_examples.defs"), project_root=tmp_path)
    own = dg.Definitions(
        jobs=[dg.define_asset_job("qc", [QC])],
        resources={"io_manager": dg.FilesystemIOManager(base_dir=str(tmp_path / "metrics"))},
    )
    return dg.Definitions.merge(published.definitions, tree.build_defs(), own)


def test_qc_metrics_of_all_chunks_are_those_of_scanpy_for_the_whole_selection(
    with_example: dg.Definitions, published: Platform, census: soma.Collection
) -> None:
    job = with_example.resolve_job_def("qc")
    for chunk in published.plan.chunks:
        assert job.execute_in_process(instance=published.instance, partition_key=chunk.key).success
    parts: list[Any] = [
        with_example.load_asset_value(QC, instance=published.instance, partition_key=chunk.key)
        for chunk in published.plan.chunks
    ]
    made = pd.concat(parts)

    whole: Any = cellxgene_census.get_anndata(
        census,
        "homo_sapiens",
        obs_coords=made.index.astype(int).to_numpy(),
        var_value_filter="n_measured_obs >= 10 and nnz >= 10",
    )
    mitochondrial = whole.var["feature_name"].str.startswith("MT-").to_numpy()
    assert mitochondrial.any()
    whole.var["mt"] = mitochondrial
    before = list(whole.obs)
    scanpy().pp.calculate_qc_metrics(whole, qc_vars=["mt"], percent_top=(50, 100, 200, 500), log1p=True, inplace=True)
    expected = whole.obs.drop(columns=before).reset_index(drop=True)
    assert len(expected.columns) == 11
    assert made["soma_joinid"].tolist() == whole.obs["soma_joinid"].tolist()
    pd.testing.assert_frame_equal(made[list(expected.columns)].reset_index(drop=True), expected)
    # And by hand, as scanpy is on both sides above.
    counts = whole.X.toarray()
    np.testing.assert_allclose(made["n_genes_by_counts"], (counts > 0).sum(axis=1))
    np.testing.assert_allclose(made["log1p_total_counts"], np.log1p(counts.sum(axis=1)), rtol=1e-5)
    share = 100 * counts[:, mitochondrial].sum(axis=1) / counts.sum(axis=1)
    np.testing.assert_allclose(made["pct_counts_mt"], share, rtol=1e-4)
    top = 100 * np.sort(counts, axis=1)[:, -50:].sum(axis=1) / counts.sum(axis=1)
    np.testing.assert_allclose(made["pct_counts_in_top_50_genes"], top, rtol=1e-4)


def test_the_example_tells_its_figures(with_example: dg.Definitions, published: Platform) -> None:
    result = with_example.resolve_job_def("qc").execute_in_process(instance=published.instance, partition_key="00005")
    [event] = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    assert metadata["dagster/row_count"].value == 30
    assert {"median_genes", "median_counts", "median_pct_mt"} <= set(metadata)
