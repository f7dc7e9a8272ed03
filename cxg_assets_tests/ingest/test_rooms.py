"""Inside the engine imports point one way, as docs/architecture.md says."""

import ast
import re
from pathlib import Path

import pytest

import cxg_assets

PACKAGE = Path(cxg_assets.__path__[0])
PAGE = PACKAGE.parent / "docs" / "architecture.md"


def rooms() -> list[set[str]]:
    """The rooms in their order; the first are files."""
    [line] = re.findall(r"^ingest: (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [set(names.split(", ")) for names in line.split(" → ")]


def room_of(module: str) -> str:
    return module.split(".")[2]


def imported(file: Path) -> set[str]:
    """Modules of the engine that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "cxg_assets.ingest":
            found |= {f"cxg_assets.ingest.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cxg_assets."):
            found.add(node.module or "")
    return found


def test_every_room_and_file_of_the_engine_is_on_the_page() -> None:
    there = {
        path.stem for path in (PACKAGE / "ingest").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert there - {"__init__"} == set().union(*rooms())


@pytest.mark.parametrize("file", sorted((PACKAGE / "ingest").rglob("*.py")), ids=lambda file: file.stem)
def test_a_file_of_the_engine_imports_only_what_stands_before_it(file: Path) -> None:
    if file == PACKAGE / "ingest" / "__init__.py":  # the public names, for type checkers
        return
    order = {name: number for number, names in enumerate(rooms()) for name in names}
    own = file.relative_to(PACKAGE / "ingest").parts[0].removesuffix(".py")
    for module in imported(file):
        assert module.startswith("cxg_assets.ingest."), f"{file.name} imports {module}, which is not of the engine"
        room = room_of(module)
        assert order[room] < order[own] or room == own or order[room] == order[own] == 0, (
            f"{file.name} imports {module}"
        )
