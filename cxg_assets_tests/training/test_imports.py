"""Training needs neither Dagster nor Ray, and torch only where tensors are asked for."""

from cxg_assets_tests.ingest.test_imports import loaded_by


def test_the_loader_comes_up_without_what_takes_seconds() -> None:
    loaded = loaded_by("cxg_assets.training.loader", "cxg_assets.training.reading", "cxg_assets.training.loops")

    slow = {
        "dagster",
        "ray",
        "torch",
        "tiledbsoma",
        "anndata",
        "cellxgene_census",
        "pandas",
        "scipy.sparse",
        "matplotlib",
    }
    assert loaded & slow == set()
