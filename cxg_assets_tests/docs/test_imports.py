"""What the Python of the pages imports is there."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from cxg_assets_tests.docs.test_links import PAGES, ROOT


def imported(page: Path) -> list[tuple[str, str]]:
    """Module and name of every import from our packages in a page's Python."""
    trees = [ast.parse(code) for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)]
    statements = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return [
        (node.module, alias.name)
        for node in statements
        if node.module and node.module.startswith("cxg_assets")
        for alias in node.names
    ]


@pytest.mark.parametrize("name", [name for name in PAGES if imported(ROOT / name)])
def test_every_name_that_a_page_imports_is_where_it_says(name: str) -> None:
    missing = [
        (module, imported_name)
        for module, imported_name in imported(ROOT / name)
        if not hasattr(importlib.import_module(module), imported_name)
    ]
    assert missing == []


def test_pages_import_of_the_engine_its_public_names() -> None:
    modules = {module for name in PAGES for module, _ in imported(ROOT / name)}
    assert {module for module in modules if module.startswith("cxg_assets.ingest.")} == set()
