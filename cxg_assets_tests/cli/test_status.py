"""`cxg-assets status`: landed, missing and stale chunks, and what is published."""

from pathlib import Path

from cxg_assets_tests.cli.command import cxg_assets
from cxg_assets_tests.cli.conftest import SUBSET, Finished


def test_a_finished_subset_shows_its_counts_and_that_this_plan_is_published(
    finished: Finished, finished_home: Path
) -> None:
    summary = finished.summary
    outcome = cxg_assets("status", SUBSET)
    assert outcome.exit_code == 0, outcome.stderr
    plan, counts, speed, published = outcome.stdout.splitlines()
    assert plan.startswith(f"{SUBSET}: plan ")
    assert plan.endswith(f", {summary['n_obs']:,} cells in {summary['n_files']:,} chunks")
    assert counts == f"  landed {summary['n_files']:,}, missing 0, stale 0, {summary['total_bytes']:,} bytes"
    assert speed.endswith(" cells a second of worker time")
    assert published.startswith("  published ")
    assert published.endswith(f": this plan, {summary['n_obs']:,} cells")


def test_a_file_that_was_lost_counts_as_missing(finished: Finished, finished_home: Path) -> None:
    lost = sorted((finished_home / "store").rglob("*.h5ad"))[0]
    left = finished.summary["total_bytes"] - lost.stat().st_size
    lost.unlink()
    counts = cxg_assets("status", SUBSET).stdout.splitlines()[1]
    assert counts == f"  landed {finished.summary['n_files'] - 1:,}, missing 1, stale 0, {left:,} bytes"


def test_without_a_name_every_subset_is_shown(finished_home: Path) -> None:
    shown = cxg_assets("status").stdout
    assert f"{SUBSET}: plan " in shown
    assert "immune_markers: not planned yet; cxg-assets ingest immune_markers makes it" in shown


def test_a_dataset_that_was_taken_back_is_not_published(finished_home: Path) -> None:
    (finished_home / "store" / SUBSET / "dataset.json").unlink()
    assert cxg_assets("status", SUBSET).stdout.splitlines()[-1] == "  nothing is published"


def test_an_unknown_subset_is_answered_with_those_there_are(home: Path) -> None:
    outcome = cxg_assets("status", "blood_norml")
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("cxg-assets: there is no subset 'blood_norml' in ")
    assert "there are: blood_normal, immune_markers" in outcome.stderr
