"""YAML files in a project of their own."""

import importlib
import textwrap
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest


@pytest.fixture
def tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., dg.ComponentTree]:
    """Writes YAML files into a project of their own and returns its tree."""
    package = f"project_{abs(hash(request.node.nodeid))}"
    defs = tmp_path / package / "defs"
    defs.mkdir(parents=True)
    (defs.parent / "__init__.py").touch()
    (defs / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))

    def build(**yamls: str) -> dg.ComponentTree:
        for name, text in yamls.items():
            (defs / name).mkdir()
            (defs / name / "defs.yaml").write_text(textwrap.dedent(text))
        return dg.ComponentTree.from_module(importlib.import_module(f"{package}.defs"), project_root=tmp_path)

    return build
