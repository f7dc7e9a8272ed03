"""Imports point one way, and every folder can be seen at a glance, as docs/architecture.md says.

The two lines of that page are read here: `cxg_assets: …` orders the package, `ingest: …` orders the engine inside it.
"""

import graphlib
import re
from pathlib import Path

import pytest

import cxg_assets
from cxg_assets_tests.imports import imported

PACKAGE = Path(cxg_assets.__path__[0])
PAGE = PACKAGE.parent / "docs" / "architecture.md"
FILES = sorted(PACKAGE.rglob("*.py"))

MAX_FILES = 14
"""Files of one folder, so that its listing explains it."""

MAX_LINES = 300
"""Lines of one file."""


def order(folder: str) -> dict[str, int]:
    """The place in line of each room of a folder."""
    [line] = re.findall(rf"^{folder}: (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: place for place, names in enumerate(line.split(" → ")) for name in names.split(", ")}


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def of_the_package(file: Path) -> set[str]:
    """Modules and names of the package that a file imports, anywhere in it."""
    return {name for name in imported(file) if name.split(".")[0] == "cxg_assets"}


def room(name: str, folder: str) -> str | None:
    """The room of `cxg_assets` or of `cxg_assets.ingest` in which a module or name lies."""
    inside = name.removeprefix(f"{folder}.")
    return None if inside == name else inside.split(".")[0]


def rooms_on_disk(folder: Path) -> set[str]:
    return {
        path.stem
        for path in folder.iterdir()
        if (path.suffix == ".py" and not path.stem.startswith("__")) or any(path.glob("*.py"))
    }


@pytest.mark.parametrize("folder", ["cxg_assets", "ingest"])
def test_every_room_is_on_the_page(folder: str) -> None:
    path = PACKAGE if folder == "cxg_assets" else PACKAGE / folder
    assert rooms_on_disk(path) == set(order(folder))


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_a_file_imports_only_what_stands_before_it(file: Path) -> None:
    for package, line in (("cxg_assets", "cxg_assets"), ("cxg_assets.ingest", "ingest")):
        places = order(line)
        own = room(module_of(file), package)
        for name in of_the_package(file):
            other = room(name, package)
            if own in places and other in places and other != own:
                assert places[other] < places[own], f"{module_of(file)} imports {name}"


def test_files_do_not_import_each_other_in_a_circle() -> None:
    modules = {module_of(file) for file in FILES}

    def of(name: str) -> str:
        return name if name in modules else name.rpartition(".")[0]

    graph = {module_of(file): {of(name) for name in of_the_package(file)} - {module_of(file)} for file in FILES}
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_the_engine_imports_nothing_else_of_the_package() -> None:
    for file in (PACKAGE / "ingest").rglob("*.py"):
        assert {name for name in of_the_package(file) if not name.startswith("cxg_assets.ingest")} == set(), file.name


def test_every_folder_can_be_seen_at_a_glance() -> None:
    counts = {folder: len(list(folder.glob("*.py"))) for folder in {file.parent for file in FILES}}
    assert {str(folder.relative_to(PACKAGE)): n for folder, n in counts.items() if n > MAX_FILES} == {}


def test_every_file_can_be_read_in_one_go() -> None:
    lines = {module_of(file): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {name: n for name, n in lines.items() if n > MAX_LINES} == {}
