"""The code of README and of the engine's page is run, not believed."""

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets_tests.conftest import Ingest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def python_of(page: str) -> str:
    """The first block of Python on a page."""
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]


def test_the_readme_is_one_screen() -> None:
    assert len(README.splitlines()) <= 60


def test_the_readmes_example_hands_out_batches_of_what_is_published(
    ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / ".cxg" / "store"
    made = ingest(spec(max_obs=30, chunk_size=15), store.as_uri())
    publish(made.store, made.plan, made.reports, made.census)
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    exec(compile(python_of(README), "README.md", "exec"), scope)
    batch = scope["batch"]
    assert batch.x.to_scipy().shape[0] == len(batch.labels["cell_type"]) == 30


def test_the_engine_example_makes_the_chunks_it_prints(
    census_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".cxg").mkdir()
    (tmp_path / ".cxg" / "demo-census").symlink_to(census_uri)
    printed = io.StringIO()
    example = python_of((ROOT / "docs" / "reference" / "engine.md").read_text())
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "engine.md", "exec"), {})

    lines = printed.getvalue().splitlines()
    assert lines
    for line in lines:
        _, n_obs, uri = line.split()
        assert int(n_obs) <= 500
        assert Path(uri.removeprefix("file://")).is_file()
