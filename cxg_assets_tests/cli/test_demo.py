"""`cxg-assets demo`: both example subsets from a small demo census."""

from pathlib import Path

import anndata
import pytest
import tiledbsoma as soma

from cxg_assets_tests.cli.command import cxg_assets, move_to

MARKERS = "tissue_general == 'blood' and is_primary_data == True"


def test_demo_publishes_both_example_subsets(
    tmp_path: Path, census_uri: str, census: soma.Collection, workers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "demo-census").symlink_to(census_uri)
    move_to(home, "", monkeypatch)
    outcome = cxg_assets("demo")
    assert outcome.exit_code == 0, outcome.stderr
    store = home / "store"
    for name in ("blood_normal", "immune_markers"):
        assert f"published: {(store / name / 'dataset.json').as_uri()}" in outcome.stdout
        assert (store / name / "dataset.json").exists()
    assert "cells/s" in outcome.stdout
    assert outcome.stdout.rstrip().endswith("See the lineage and every chunk's figures: cxg-assets ui")
    obs = census["census_data"]["homo_sapiens"].obs
    n_obs = len(obs.read(value_filter=MARKERS, column_names=["soma_joinid"]).concat())
    chunks = [anndata.read_h5ad(file) for file in (store / "immune_markers").rglob("*.h5ad")]
    assert sum(chunk.n_obs for chunk in chunks) == n_obs
    assert {chunk.n_vars for chunk in chunks} == {22}
    # The two subsets share one census index.
    assert len(list((store / "index").rglob("*.feather"))) == 1


def test_a_project_without_the_example_subsets_is_told_so(home: Path, defs: Path) -> None:
    outcome = cxg_assets("demo")
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"cxg-assets: there is no example subset (blood_normal, immune_markers) in {defs}; ingest one of your own\n"
    )
    assert not home.exists()
