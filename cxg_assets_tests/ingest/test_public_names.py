"""What `from cxg_assets.ingest import …` gives."""

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import cxg_assets.ingest as engine
from cxg_assets.ingest import _MODULES
from cxg_assets_tests.ingest.test_imports import loaded_by


@pytest.mark.parametrize("name", engine.__all__)
def test_a_public_name_is_defined_where_the_table_says_and_explains_itself(name: str) -> None:
    value = getattr(engine, name)
    assert value is getattr(importlib.import_module(_MODULES[name]), name)
    assert value.__module__ == _MODULES[name]
    text = inspect.getdoc(value)
    assert text
    assert not text.startswith(f"{name}(")  # what a dataclass without a docstring gets


def test_no_name_is_also_a_modules_which_would_hide_it_once_that_is_imported() -> None:
    modules = {module.name for module in pkgutil.iter_modules(engine.__path__)}
    assert modules & set(engine.__all__) == set()


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    tree = ast.parse(Path(engine.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: node.module for node in imports for alias in node.names}
    assert seen == _MODULES


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'cxg_assets.ingest' has no attribute 'pipline'$"):
        _ = engine.pipline


def test_importing_the_engine_loads_none_of_it() -> None:
    assert [name for name in loaded_by("cxg_assets.ingest") if name.startswith("cxg_assets.ingest.")] == []
