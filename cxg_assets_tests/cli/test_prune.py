"""`cxg-assets prune`: lists first, removes with --yes, never what is published or on record."""

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxg_assets_tests.cli.command import cxg_assets, files_below, move_to
from cxg_assets_tests.cli.conftest import SUBSET, Finished
from cxg_assets_tests.ingest.four_plans import DAY, make_old

OTHER = ("ingest", SUBSET, "--max-obs", "40", "--chunk-size", "20", "--workers", "1")


@pytest.fixture(scope="module")
def home_of_two_plans(finished: Finished, census_uri: str, workers: None) -> Iterator[Path]:
    """A copy of the finished home, in which a smaller plan was published later."""
    kept, copy = finished.home.with_name("of one plan"), finished.home.with_name("of two plans")
    shutil.copytree(finished.home, kept)
    with pytest.MonkeyPatch.context() as monkeypatch:
        move_to(finished.home, census_uri, monkeypatch)
        assert cxg_assets(*OTHER).exit_code == 0
    finished.home.rename(copy)
    kept.rename(finished.home)
    yield copy
    shutil.rmtree(copy)


@pytest.fixture
def before(finished_home: Path) -> bytes:
    """The pointer of the larger plan, which was published first."""
    return (finished_home.with_name("kept") / "store" / SUBSET / "dataset.json").read_bytes()


@pytest.fixture
def two_plans(home_of_two_plans: Path, finished_home: Path) -> Path:
    """The folder of a subset of which a smaller plan was published later, a month ago."""
    shutil.rmtree(finished_home)
    shutil.copytree(home_of_two_plans, finished_home)
    folder = finished_home / "store" / SUBSET
    make_old(folder, 30 * DAY)
    return folder


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
    assert lines[-1].startswith(f"{SUBSET}: 1 plan, 1 subset, 0 unreferenced objects, ")
    assert lines[-1].endswith(f"B would go; cxg-assets prune {SUBSET} --keep 0 --yes removes them")


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


def test_the_plan_on_record_stays_though_another_is_published(two_plans: Path, before: bytes) -> None:
    # As when a run is under way: the pointer is still that of the plan before.
    published = two_plans / "dataset.json"
    assert published.read_bytes() != before
    published.write_bytes(before)
    make_old(two_plans, 30 * DAY)

    outcome = cxg_assets("prune", SUBSET, "--keep", "0", "--yes")

    assert outcome.exit_code == 0, outcome.stderr
    stay = [line for line in outcome.stdout.splitlines() if line.startswith("stays  plan  ")]
    assert sorted(line.rpartition(": ")[2] for line in stay) == ["on record in Dagster", "published"]
    assert len(plans(two_plans)) == 2


def test_an_unreadable_pointer_stops_it(two_plans: Path) -> None:
    (two_plans / "dataset.json").write_text("{")
    before = files_below(two_plans)

    outcome = cxg_assets("prune", SUBSET, "--keep", "0", "--yes")

    assert outcome.exit_code == 1
    assert "Nothing is pruned where it is not known what is published" in outcome.stderr
    assert files_below(two_plans) == before


def test_what_is_younger_than_a_week_stays_and_says_so(two_plans: Path) -> None:
    make_old(two_plans, 6 * DAY)

    outcome = cxg_assets("prune", SUBSET, "--keep", "0", "--yes")

    assert outcome.exit_code == 0
    lines = [line for line in outcome.stdout.splitlines() if line.startswith("stays  plan")]
    assert sorted(line.rpartition(": ")[2] for line in lines) == ["published", "younger than 7 days"]
    assert len(plans(two_plans)) == 2


@pytest.mark.parametrize("age", ["5d", "12h", "30m", "0", "0d"])
def test_a_shorter_retention_says_what_it_risks_and_is_repeated_in_the_next_command(two_plans: Path, age: str) -> None:
    make_old(two_plans, 6 * DAY)

    outcome = cxg_assets("prune", SUBSET, "--keep", "0", "--older-than", age)

    minutes = {"5d": "7200m", "12h": "720m", "30m": "30m"}.get(age, "0m")
    assert f"cxg-assets prune {SUBSET} --keep 0 --older-than {minutes} --yes removes them" in outcome.stdout
    assert "is less than 7 days: a plan that another machine has made but not started to write" in outcome.stderr


@pytest.mark.parametrize("age", ["", "7", "-1d", "1w", "1.5h", "5 days", "999999d", "d" * 5_000])
def test_an_age_that_is_none_is_refused_in_few_words(home: Path, age: str) -> None:
    outcome = cxg_assets("prune", SUBSET, "--older-than", age)

    assert outcome.exit_code == 2
    assert "is not an age; write a whole number and d, h or m, like 7d, 12h or 30m" in outcome.stderr
    assert len(outcome.stderr) < 500


def test_the_next_command_is_for_the_destination_that_was_given(two_plans: Path, tmp_path: Path) -> None:
    there = tmp_path / "it's here"
    shutil.copytree(two_plans.parent, there)
    url = there.as_uri().replace("%27", "'")
    options = shlex.join(["--destination", url])

    assert cxg_assets("prune", SUBSET, "--keep", "0", "--destination", url).stdout.endswith(
        f"cxg-assets prune {SUBSET} --keep 0 --yes {options} removes them\n"
    )


def test_a_machine_without_an_instance_does_not_make_one(home: Path) -> None:
    outcome = cxg_assets("prune", SUBSET)

    assert outcome.exit_code == 0
    assert not home.exists()
