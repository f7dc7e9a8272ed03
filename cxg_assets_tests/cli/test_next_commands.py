"""Whatever a command says to run next names the `--destination` that it was given, and works as it is printed."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cxg_assets.ingest.dataset.load import load_dataset
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets_tests.cli.command import cxg_assets
from cxg_assets_tests.cli.conftest import SUBSET, Finished


@pytest.fixture
def there(finished: Finished, home: Path, tmp_path: Path) -> Path:
    """What was made and published, at another place than the default store; this machine has no record of it."""
    shutil.copytree(finished.home / "store", tmp_path / "other place")
    return tmp_path / "other place"


def told(outcome_text: str, command: str) -> list[str]:
    """The words of the one command line that a text tells to run, split as a shell does."""
    _, _, rest = outcome_text.rpartition(f"cxg-assets {command} ")
    # Up to the destination, which comes last.
    before, destination, after = rest.partition("--destination ")
    assert destination, outcome_text
    quoted = shlex.split(after.split(" makes")[0].split(" lists")[0].split(" does")[0].split(", with")[0].rstrip(";"))
    return ["cxg-assets", command, *shlex.split(before), "--destination", quoted[0]]


def test_a_command_is_told_as_a_shell_takes_it() -> None:
    given = "s3://bucket/a b;c"
    store = StoreLocator(url="file:///x", given=given).open()

    assert store.follow_up("verify", SUBSET, "--repair") == (
        f"cxg-assets verify {SUBSET} --repair --destination '{given}'"
    )
    assert StoreLocator(url="file:///x").open().follow_up("ingest", SUBSET) == f"cxg-assets ingest {SUBSET}"


def test_two_locators_of_one_place_are_one_however_it_was_named() -> None:
    assert StoreLocator(url="file:///x", given="file:///x") == StoreLocator(url="file:///x")


def test_verify_tells_to_repair_there(there: Path) -> None:
    next(there.rglob("*.h5ad")).unlink()

    outcome = cxg_assets("verify", SUBSET, "--destination", there.as_uri())

    assert told(outcome.stderr, "verify") == [
        "cxg-assets", "verify", SUBSET, "--repair", "--destination", there.as_uri(),
    ]  # fmt: skip


def test_verify_tells_to_prune_there(there: Path) -> None:
    (next(there.rglob("*.h5ad")).parent / "notes.txt").touch()

    outcome = cxg_assets("verify", SUBSET, "--destination", there.as_uri())

    command = told(outcome.stderr, "prune")
    assert command == ["cxg-assets", "prune", SUBSET, "--unreferenced", "--destination", there.as_uri()]
    assert cxg_assets(*command[1:], "--yes").exit_code == 0
    assert cxg_assets("verify", SUBSET, "--destination", there.as_uri()).exit_code == 0


def test_a_repair_without_a_record_tells_to_ingest_there(there: Path) -> None:
    next(there.rglob("*.h5ad")).unlink()

    outcome = cxg_assets("verify", SUBSET, "--repair", "--destination", there.as_uri())

    assert outcome.exit_code == 2
    assert told(outcome.stderr, "ingest") == ["cxg-assets", "ingest", SUBSET, "--destination", there.as_uri()]


@pytest.mark.parametrize("command", ["status", "verify"])
def test_where_nothing_was_made_it_is_told_to_ingest_there(home: Path, tmp_path: Path, command: str) -> None:
    url = (tmp_path / "empty").as_uri()

    outcome = cxg_assets(command, SUBSET, "--destination", url)

    text = outcome.stdout + outcome.stderr
    assert told(text.rstrip(), "ingest") == ["cxg-assets", "ingest", SUBSET, "--destination", url]


def lose_plan(store: Store) -> None:
    load_dataset(store, SUBSET)
    [path] = [path for path in store.sizes(SUBSET) if path.endswith("plan.parquet")]
    store.delete(path)
    load_dataset(store, SUBSET)


def lose_chunk(store: Store) -> None:
    dataset = load_dataset(store, SUBSET)
    plan = dataset.plan
    store.delete(plan.path(plan.chunks[0]))
    dataset.chunks(["00000"])


def damage_chunk(store: Store) -> None:
    dataset = load_dataset(store, SUBSET)
    plan = dataset.plan
    store.put(plan.path(plan.chunks[0]), b"damaged")
    dataset.chunk("00000")


@pytest.mark.parametrize(("lose", "command"), [(lose_plan, "ingest"), (lose_chunk, "ingest"), (damage_chunk, "verify")])
def test_what_the_engine_says_names_it_too(there: Path, lose: Callable[[Store], None], command: str) -> None:
    store = StoreLocator(url=there.as_uri(), given=there.as_uri()).open()

    with pytest.raises(CxgError, match=f"cxg-assets {command} {SUBSET} .*--destination {there.as_uri()} "):
        lose(store)
