"""`cxg-assets prune`: lists first, removes with --yes, never what is published or on record."""

from pathlib import Path

import pytest

from cxg_assets_tests.cli.command import cxg_assets, files_below
from cxg_assets_tests.cli.conftest import SUBSET

OTHER = ("ingest", SUBSET, "--max-obs", "40", "--chunk-size", "20", "--workers", "1")


@pytest.fixture
def two_plans(finished_home: Path, ray_session: None) -> Path:
    """The folder of a subset of which a smaller plan was published later."""
    assert cxg_assets(*OTHER).exit_code == 0
    return finished_home / "store" / SUBSET


def plans(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.rglob("plan.parquet")}


def test_without_yes_it_only_lists(two_plans: Path) -> None:
    before = files_below(two_plans)

    outcome = cxg_assets("prune", SUBSET, "--keep", "0")

    assert outcome.exit_code == 0
    assert files_below(two_plans) == before
    lines = outcome.stdout.splitlines()
    assert sum(line.startswith("stays  plan  ") and line.endswith(": published") for line in lines) == 1
    assert sum(line.startswith("goes  plan  ") for line in lines) == 1
    assert sum(line.startswith("goes  subset  ") for line in lines) == 1
    assert lines[-1].startswith(f"{SUBSET}: 1 plans, 1 subsets, 0 orphans, ")
    assert lines[-1].endswith(f" bytes would go; cxg-assets prune {SUBSET} --keep 0 --yes removes them")


def test_with_yes_it_removes_and_the_dataset_is_still_right(two_plans: Path) -> None:
    assert len(plans(two_plans)) == 2

    outcome = cxg_assets("prune", SUBSET, "--keep", "0", "--yes")

    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.splitlines()[-1].endswith(" removed")
    assert len(plans(two_plans)) == 1
    assert cxg_assets("verify", SUBSET, "--deep").exit_code == 0
    again = cxg_assets("prune", SUBSET, "--keep", "0", "--yes")
    assert f"{SUBSET}: nothing to remove at " in again.stdout


def test_one_old_plan_stays_by_default(two_plans: Path) -> None:
    outcome = cxg_assets("prune", SUBSET, "--yes")

    assert outcome.exit_code == 0
    assert "one of the newest" in outcome.stdout
    assert len(plans(two_plans)) == 2


def test_the_plan_on_record_stays_though_another_is_published(two_plans: Path) -> None:
    # As when a run is under way: the pointer is still that of the plan before.
    published = two_plans / "dataset.json"
    assert cxg_assets("ingest", SUBSET, "--max-obs", "60", "--chunk-size", "20", "--workers", "1").exit_code == 0
    newest = published.read_bytes()
    assert cxg_assets(*OTHER).exit_code == 0
    published.write_bytes(newest)

    outcome = cxg_assets("prune", SUBSET, "--keep", "0", "--yes")

    assert outcome.exit_code == 0, outcome.stderr
    assert "on record in Dagster" in outcome.stdout
    assert len(plans(two_plans)) == 2


def test_an_unreadable_pointer_stops_it(two_plans: Path) -> None:
    (two_plans / "dataset.json").write_text("{")
    before = files_below(two_plans)

    outcome = cxg_assets("prune", SUBSET, "--keep", "0", "--yes")

    assert outcome.exit_code == 1
    assert "Nothing is pruned where it is not known what is published" in outcome.stderr
    assert files_below(two_plans) == before


def test_a_machine_without_an_instance_does_not_make_one(home: Path) -> None:
    outcome = cxg_assets("prune", SUBSET)

    assert outcome.exit_code == 0
    assert not home.exists()
