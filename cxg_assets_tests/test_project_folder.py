"""A project is found from the folders inside it; what is above it, or somebody else's, is not taken for one."""

import os
from pathlib import Path

import pytest

from cxg_assets import settings
from cxg_assets.ingest.errors import BadInput
from cxg_assets.project_folder import project_folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a folder `a/b` in it; the user's home folder is the one around it."""
    folder = tmp_path / "user" / "project"
    (folder / "a" / "b").mkdir(parents=True)
    return folder


@pytest.fixture(autouse=True)
def _user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for name in ("CXG_HOME", "CXG_STORE_URL", "CXG_CENSUS_URI", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_nearest_folder_with_a_cxg_folder_is_the_project(project: Path) -> None:
    (project / ".cxg").mkdir()
    assert project_folder(project) == project_folder(project / "a") == project_folder(project / "a" / "b") == project
    (project / "a" / ".cxg").mkdir()
    assert project_folder(project / "a" / "b") == project / "a"


def test_a_checkout_without_a_cxg_folder_is_found_by_its_pyproject(project: Path) -> None:
    (project / "pyproject.toml").write_text('[project]\nname = "lab"\ndependencies = ["cxg_assets>=0.1"]\n')
    assert project_folder(project / "a" / "b") == project
    (project / "a" / "pyproject.toml").write_text('[project]\nname = "another"\n')
    assert project_folder(project / "a" / "b") == project


def test_a_cxg_folder_goes_before_a_nearer_pyproject(project: Path) -> None:
    (project / ".cxg").mkdir()
    (project / "a" / "pyproject.toml").write_text('[project]\nname = "cxg_assets"\n')
    assert project_folder(project / "a" / "b") == project


def test_where_there_is_no_project_it_is_the_current_folder(project: Path) -> None:
    assert project_folder(project / "a" / "b") == project / "a" / "b"


def test_what_lies_in_the_home_folder_or_above_it_captures_nothing(project: Path) -> None:
    for folder in (project.parent, project.parent.parent):
        (folder / ".cxg").mkdir()
    assert project_folder(project / "a") == project / "a"
    assert project_folder(project.parent) == project.parent


def test_a_folder_of_somebody_else_is_no_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".cxg").mkdir()
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    assert project_folder(project / "a") == project / "a"
    assert project_folder(project) == project


def test_a_file_of_that_name_is_no_project(project: Path) -> None:
    (project / ".cxg").write_text("")
    assert project_folder(project / "a") == project / "a"


def test_everything_local_is_in_the_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".cxg").mkdir()
    monkeypatch.chdir(project / "a")
    assert settings.home() == project / ".cxg"
    assert settings.dagster_home() == project / ".cxg" / "dagster"
    assert settings.demo_census_path() == project / ".cxg" / "demo-census"
    assert settings.default_store_url() == (project / ".cxg" / "store").as_uri()
    assert settings.how_home_was_found() == "found from the current folder upwards"
    assert settings.is_home_elsewhere()
    monkeypatch.chdir(project)
    assert settings.how_home_was_found() == "in the current folder"
    assert not settings.is_home_elsewhere()


def test_cxg_home_wins_and_is_relative_to_the_current_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".cxg").mkdir()
    monkeypatch.chdir(project / "a")
    monkeypatch.setenv("CXG_HOME", "elsewhere")
    assert settings.home() == project / "a" / "elsewhere"
    assert settings.how_home_was_found() == "as CXG_HOME says"
    assert settings.project() == project
    monkeypatch.setenv("CXG_HOME", str(project.parent / "other" / ".cxg"))
    assert settings.project() == project.parent / "other"


def test_relative_paths_of_the_environment_begin_at_the_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".cxg").mkdir()
    monkeypatch.chdir(project / "a")
    monkeypatch.setenv("CXG_STORE_URL", "./out")
    monkeypatch.setenv("CXG_CENSUS_URI", "data/census")
    assert settings.default_store_url() == (project / "out").as_uri()
    assert settings.census_uri() == str(project / "data" / "census")
    monkeypatch.setenv("CXG_STORE_URL", "~/out")
    monkeypatch.setenv("CXG_CENSUS_URI", "s3://bucket/census")
    assert settings.default_store_url() == (project.parent / "out").as_uri()
    assert settings.census_uri() == "s3://bucket/census"
    monkeypatch.setenv("CXG_STORE_URL", "~nobody-of-that-name/out")
    with pytest.raises(BadInput, match=r"'~nobody-of-that-name/out' is not a path on this machine"):
        settings.default_store_url()
