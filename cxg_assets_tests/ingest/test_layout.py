"""Names at a destination: distinct for distinct things, and below the folder that they belong to."""

from cxg_assets.ingest import layout

FINGERPRINT = "0123456789abcdef" * 4


def test_the_layout_is_the_documented_one() -> None:
    assert layout.index_path("2025-11-08-1a2b", "homo_sapiens") == "index/2025-11-08-1a2b/homo_sapiens.feather"
    assert layout.index_json_path("2025-11-08-1a2b", "homo_sapiens") == "index/2025-11-08-1a2b/homo_sapiens.json"
    assert layout.subset_obs_path("blood", FINGERPRINT) == "blood/subset/0123456789abcdef/obs.feather"
    assert layout.subset_var_path("blood", FINGERPRINT) == "blood/subset/0123456789abcdef/var.feather"
    assert layout.subset_json_path("blood", FINGERPRINT) == "blood/subset/0123456789abcdef/subset.json"
    assert layout.plan_path("blood", "p1") == "blood/p1/plan.parquet"
    assert layout.chunk_path("blood", "p1", "00007", FINGERPRINT) == "blood/p1/00007-0123456789abcdef.h5ad"
    assert layout.manifest_path("blood", "p1") == "blood/p1/manifest.parquet"
    assert layout.card_path("blood", "p1") == "blood/p1/README.md"
    assert layout.citations_path("blood", "p1") == "blood/p1/citations.csv"
    assert layout.measured_path("blood", "p1") == "blood/p1/measured.parquet"
    assert layout.dataset_path("blood") == "blood/dataset.json"


def test_all_that_belongs_to_a_plan_lies_in_its_folder() -> None:
    folder = layout.plan_folder("blood", "p1") + "/"

    assert layout.plan_path("blood", "p1").startswith(folder)
    assert layout.chunk_path("blood", "p1", "00000", FINGERPRINT).startswith(folder)
    assert layout.manifest_path("blood", "p1").startswith(folder)
    assert layout.card_path("blood", "p1").startswith(folder)
    assert layout.citations_path("blood", "p1").startswith(folder)
    assert not layout.dataset_path("blood").startswith(folder)
