"""What tests read is always what today's code makes."""

import os
import shutil
from pathlib import Path
from unittest.mock import Mock

import pytest

from cxg_assets_tests.kept_census import PACKAGE, code_digest, kept_census

FILES = ("__tiledb_group.tdb", "obs/a0.tdb", "var/a0.tdb")


@pytest.fixture
def build() -> Mock:
    """Makes a folder of three files in place of a census."""

    def write(path: Path, **arguments: int) -> None:
        for name in FILES:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(f"{arguments}")

    return Mock(side_effect=write)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the product."""
    shutil.copytree(PACKAGE, tmp_path / "cxg_assets", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "cxg_assets"


def test_a_census_is_made_once_for_its_arguments(build: Mock, tmp_path: Path) -> None:
    census = kept_census(tmp_path, build=build, n_obs=200, seed=1)

    assert kept_census(tmp_path, build=build, n_obs=200, seed=1) == census
    assert build.call_count == 1
    assert kept_census(tmp_path, build=build, n_obs=200, seed=2) != census
    assert build.call_count == 2


@pytest.mark.parametrize("damage", ["cut", "removed", "added", "touched", "half made"])
def test_a_census_that_is_not_as_it_was_made_is_made_again(damage: str, build: Mock, tmp_path: Path) -> None:
    census = kept_census(tmp_path, build=build, n_obs=200)
    file = census / FILES[1]
    stat = file.stat()
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-1])
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    elif damage == "removed":
        file.unlink()
    elif damage == "added":
        (census / "obs" / "a1.tdb").touch()
    elif damage == "touched":
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))
    else:
        (census.parent / "files.json").unlink()
        file.unlink()

    assert kept_census(tmp_path, build=build, n_obs=200) == census

    assert build.call_count == 2
    assert {path.relative_to(census).as_posix() for path in census.rglob("*") if path.is_file()} == set(FILES)


@pytest.mark.parametrize("changed", ["demo/build.py", "demo/data/ATTRIBUTION.md", "locks.py"])
def test_other_code_makes_another_census(changed: str, package: Path) -> None:
    with (package / changed).open("a") as file:
        file.write("\n")

    assert code_digest(package) != code_digest()


def test_code_that_makes_no_census_does_not_count(package: Path) -> None:
    (package / "cli" / "main.py").write_text("")

    assert code_digest(package) == code_digest()


def test_what_nobody_asks_for_any_more_goes_when_another_is_made(build: Mock, tmp_path: Path) -> None:
    unused = kept_census(tmp_path, build=build, n_obs=200, seed=1)
    os.utime(unused.parent / "files.json", (0, 0))

    kept_census(tmp_path, build=build, n_obs=200, seed=2)

    assert not unused.exists()
