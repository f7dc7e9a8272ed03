"""The pages as a site."""

import re
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The HTML of each page. A warning while it is built is an error."""
    site = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(site), strict=True))
    return {path.relative_to(site).as_posix(): path.read_text() for path in site.rglob("*.html")}


def test_a_page_loads_nothing_from_elsewhere(pages: dict[str, str]) -> None:
    loaded = {
        address
        for page in pages.values()
        for tag in re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", page)
        for address in re.findall(r'(?:src|href)="((?:https?:)?//[^"]*)"', tag)
    }
    assert loaded == set()


def test_lists_tables_and_code_are_not_left_as_text(pages: dict[str, str]) -> None:
    left = [
        (name, paragraph)
        for name, page in pages.items()
        for paragraph in re.findall(r"<p>(.*?)</p>", page, flags=re.DOTALL)
        if re.search(r"\n\s*(?:[-*|]|\d+\.) |```", paragraph)
    ]
    assert left == []


def test_the_engines_page_has_signatures_and_docstrings(pages: dict[str, str]) -> None:
    page = re.sub(r"<[^>]+>", "", pages["reference/engine.html"])
    assert "store_plan(" in page
    assert "A named, filtered selection of cells and genes of one organism" in page
