"""The environment variables: which there are, and what an empty one means."""

import re
from pathlib import Path

import pytest

from cxg_assets.settings import Variables, census_uri, default_store_url, home

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"


def test_the_page_names_every_variable() -> None:
    named = set(re.findall(r"`(CXG_\w+|DAGSTER_HOME)`", PAGE.read_text(encoding="utf-8")))
    read = {str(field.validation_alias or f"CXG_{name.upper()}") for name, field in Variables.model_fields.items()}

    assert read - named == set()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CXG_HOME", "CXG_STORE_URL", "CXG_CENSUS_URI", "DAGSTER_HOME"):
        monkeypatch.setenv(name, "")

    assert home() == tmp_path / ".cxg"
    assert default_store_url() == (tmp_path / ".cxg" / "store").as_uri()
    assert census_uri() == ""
