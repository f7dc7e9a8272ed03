"""The environment variables: which there are, and what an empty one means."""

import re
from pathlib import Path

import pytest

from cxg_assets.ingest.errors import BadInput
from cxg_assets.resources.executors import build_executor
from cxg_assets.settings import (
    WORKER_SILENCE,
    Variables,
    census_uri,
    default_store_url,
    home,
    worker_silence,
)

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


@pytest.mark.parametrize(("asked", "seconds"), [("", WORKER_SILENCE), ("45", 45.0), ("0.5", 0.5)])
def test_the_silence_of_a_worker_is_a_number_of_seconds(
    monkeypatch: pytest.MonkeyPatch, asked: str, seconds: float
) -> None:
    monkeypatch.setenv("CXG_WORKER_SILENCE", asked)

    assert worker_silence() == seconds


@pytest.mark.parametrize("asked", ["0", "-1", "soon", "inf", "nan"])
def test_a_silence_that_is_no_time_is_refused_before_a_pool_is_chosen(
    monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv("CXG_WORKER_SILENCE", asked)

    with pytest.raises(BadInput, match=f"CXG_WORKER_SILENCE: '{asked}' is not a number of seconds above 0"):
        build_executor("local")
