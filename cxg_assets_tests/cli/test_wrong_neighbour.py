"""A YAML that is wrong: every command works on the other subsets, and says in one line what is wrong with it."""

from pathlib import Path

import pytest

from cxg_assets_tests.cli.command import Outcome, cxg_assets
from cxg_assets_tests.wrong_yaml import KINDS, declare, write


@pytest.fixture(params=KINDS)
def said(request: pytest.FixtureRequest, home: Path, defs: Path) -> str:
    """What must be said of the subset `wrong`, which is wrong in one way; its neighbour `good` is right."""
    declare(defs / "good")
    KINDS[request.param].make(defs / "wrong")
    return KINDS[request.param].said.format(folder=defs / "wrong")


@pytest.fixture
def counts(home: Path, defs: Path) -> str:
    """The same for one way."""
    declare(defs / "good")
    kind = KINDS["an attribute has a value that it cannot have"]
    kind.make(defs / "wrong")
    return kind.said.format(folder=defs / "wrong")


def the_error(outcome: Outcome) -> str:
    """The one line on stderr of a command that refused bad input."""
    assert outcome.exit_code == 2, outcome.stderr
    assert outcome.stdout == ""
    [line] = outcome.stderr.splitlines()
    return line.removeprefix("cxg-assets: ")


def test_the_status_of_all_shows_what_is_right_and_names_what_is_wrong(said: str) -> None:
    outcome = cxg_assets("status")
    assert outcome.exit_code == 0
    assert outcome.stdout.splitlines()[1:] == ["good: not planned yet; cxg-assets ingest good makes it"]
    assert outcome.stderr.splitlines() == [f"cxg-assets: warning: {said}"]


def test_a_command_that_needs_it_is_refused_and_writes_nothing(said: str, home: Path) -> None:
    assert the_error(cxg_assets("status", "wrong")) == said
    assert the_error(cxg_assets("ingest", "wrong")) == said
    assert not home.exists()


@pytest.mark.parametrize("command", ["doctor", "prune", "verify"])
def test_the_other_commands_that_need_it_are_refused_too(counts: str, command: str) -> None:
    assert the_error(cxg_assets(command, "wrong")) == counts


def test_the_neighbour_has_a_status_of_its_own(counts: str) -> None:
    outcome = cxg_assets("status", "good")
    assert (outcome.exit_code, outcome.stderr) == (0, "")


def test_the_neighbour_is_ingested(defs: Path, counts: str, workers: None) -> None:
    outcome = cxg_assets("ingest", "good", "--max-obs", "50")
    assert outcome.exit_code == 0, outcome.stderr
    assert str(defs / "wrong") not in outcome.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("schema",), ("ingest", "--help")])
def test_commands_that_need_no_subset_say_nothing_of_it(counts: str, arguments: tuple[str, ...]) -> None:
    outcome = cxg_assets(*arguments)
    assert (outcome.exit_code, outcome.stderr) == (0, "")


def test_a_new_subset_is_written_beside_it(counts: str, defs: Path) -> None:
    outcome = cxg_assets("new", "lung", "--value-filter", "tissue_general == 'lung'")
    assert outcome.exit_code == 0, outcome.stderr
    assert (defs / "lung" / "defs.yaml").is_file()


def test_the_doctor_names_what_is_wrong_and_looks_at_all_else(counts: str, no_ray: None) -> None:
    outcome = cxg_assets("doctor")
    assert outcome.exit_code == 1
    lines = outcome.stdout.splitlines()[1:]
    assert lines[0] == f"FAILED yaml         {counts}"
    assert lines[1] == "ok     yaml         subsets that can be made: good"
    assert [line for line in lines[2:] if line.startswith("FAILED")] == []
    assert {"census", "destination", "disk"} <= {line.split()[1] for line in lines}


def test_the_doctor_of_the_neighbour_finds_nothing_wrong(counts: str, no_ray: None) -> None:
    outcome = cxg_assets("doctor", "good")
    assert outcome.exit_code == 0, outcome.stdout
    assert "wrong" not in outcome.stdout


def test_the_demo_reads_its_examples_before_it_builds_anything(home: Path, defs: Path) -> None:
    declare(defs / "blood_normal")
    declare(defs / "immune_markers", "  chunk_size: 0\n")
    error = the_error(cxg_assets("demo"))
    assert error == f"{defs}/immune_markers/defs.yaml:5: chunk_size: 0 is not a positive whole number"
    assert not home.exists()


def test_a_component_of_somebody_else_is_no_subset(home: Path, defs: Path) -> None:
    declare(defs / "good")
    write(defs / "other", "type: dagster.PythonScriptComponent\nattributes: {exec: 3}\n")
    outcome = cxg_assets("status")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert "the subsets are: good" in the_error(cxg_assets("ingest", "other"))


def test_of_a_long_value_the_beginning_is_shown(home: Path, defs: Path) -> None:
    declare(defs / "wrong", f"  layer: {'x' * 10_000}\n")
    assert the_error(cxg_assets("ingest", "wrong")) == (
        f"{defs}/wrong/defs.yaml:5: layer: '{'x' * 197}…' is wrong: input should be 'raw' or 'normalized'"
    )
