"""The reference names all that there is, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cxg_assets.cli.commands import commands as cli
from cxg_assets.components.attributes import Genes
from cxg_assets.components.census_subset import CensusSubset
from cxg_assets.ingest import __all__ as public_names

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def all_commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{name} {word}")
        elif command is not None:
            yield f"{name} {word}", command


def sections(page: str) -> dict[str, str]:
    """Text of each section of a page, by its heading."""
    parts = re.split(r"^## (.*)$", (REFERENCE / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("name", "command"), list(all_commands(cli, "cxg-assets")))
def test_a_command_has_a_section_with_its_options(name: str, command: click.Command) -> None:
    [text] = [text for heading, text in sections("command.md").items() if heading.startswith(f"`{name}")]
    options = [option for option in command.params if isinstance(option, click.Option)]
    known = {name for option in options for name in option.opts}
    shown = {cell for line in text.splitlines() for cell in re.findall(r"`(-[-\w]*)`", line.partition(" | ")[0])}
    assert shown == known


def test_no_section_is_of_a_command_that_does_not_exist() -> None:
    assert len(sections("command.md")) == len(list(all_commands(cli, "cxg-assets")))


def test_every_attribute_of_the_yaml_has_a_row() -> None:
    shown = re.findall(r"^\| `([\w.]+)` \|", (REFERENCE / "yaml.md").read_text(), flags=re.MULTILINE)
    attributes = [
        name for field in CensusSubset.model_fields
        for name in ([f"genes.{part}" for part in Genes.model_fields] if field == "genes" else [field])
    ]  # fmt: skip
    assert shown == attributes


def rows_of_variables(page: Path) -> list[str]:
    """Names in the first column of a page's table of variables."""
    cells = re.findall(r"^\| (`[A-Z]+_.*?) \|", page.read_text(), flags=re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([A-Z_*]+)`", cell)]


def test_every_variable_of_ours_has_a_row() -> None:
    sources = [path.read_text() for path in (ROOT / "cxg_assets").rglob("*.py")]
    read = {name for text in sources for name in re.findall(r"\bCXG_[A-Z_]+\b", text)}
    shown = rows_of_variables(REFERENCE / "settings.md")
    assert {name for name in shown if name.startswith("CXG_")} == read
    assert len(shown) == len(set(shown))


def test_the_variables_that_pages_set_are_among_them() -> None:
    known = {*rows_of_variables(REFERENCE / "settings.md"), *rows_of_variables(ROOT / "docs" / "deploy.md")}
    pages = [ROOT / "README.md", *(page for page in (ROOT / "docs").rglob("*.md") if page.name != "testing.md")]
    named = {name for page in pages for name in re.findall(r"\bCXG_[A-Z_]+\b", page.read_text())}
    assert {"CXG_CENSUS_VERSION", "CXG_STORE_URL"} <= named
    assert named - known == set()


def test_every_public_name_of_the_engine_has_its_docstring_on_the_page() -> None:
    shown = re.findall(r"^::: cxg_assets\.ingest\.(\w+)$", (REFERENCE / "engine.md").read_text(), flags=re.MULTILINE)
    assert sorted(shown) == sorted(public_names)
