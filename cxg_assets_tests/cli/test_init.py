"""`cxg-assets init`: a project of one's own, in which commands work on its subsets and not on those of the package."""

import sys
from pathlib import Path

import pytest

from cxg_assets.cli.new.project import SUBSET
from cxg_assets.cli.project import load_subset, subset_names
from cxg_assets.code_location import complete
from cxg_assets.components.defs_folder import PACKAGE_DEFS
from cxg_assets.components.subset_tree import load_definitions, subset_tree
from cxg_assets_tests.cli.command import cxg_assets, files_below

OWN_ASSET = """\
import dagster as dg

from my_slices.words import WORD


@dg.asset
def weekly() -> str:
    return WORD
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project, which is the current folder, below a folder that somebody has used the command in."""
    monkeypatch.delenv("CXG_HOME", raising=False)
    (tmp_path / ".cxg").mkdir()
    monkeypatch.chdir(tmp_path)
    outcome = cxg_assets("init", "my-slices")
    assert outcome.exit_code == 0, outcome.stderr
    monkeypatch.chdir(tmp_path / "my-slices")
    return tmp_path / "my-slices"


def test_a_project_has_what_its_readme_names_and_nothing_of_the_package(project: Path) -> None:
    assert set(files_below(project)) == {
        ".gitignore",
        "README.md",
        "my_slices/__init__.py",
        "my_slices/defs/__init__.py",
        "my_slices/defs/blood_normal/defs.yaml",
        "my_slices/defs/subset.schema.json",
        "pyproject.toml",
        "workspace.yaml",
    }
    assert f"cxg-assets ingest {SUBSET} --max-obs 1000" in (project / "README.md").read_text()
    schemas = [folder / "subset.schema.json" for folder in (project / "my_slices" / "defs", PACKAGE_DEFS)]
    assert schemas[0].read_text() == schemas[1].read_text()


@pytest.mark.parametrize("folder", [".", "my_slices", "my_slices/defs/blood_normal"])
def test_commands_work_on_its_subsets_from_every_folder(
    project: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / folder)
    assert subset_names() == [SUBSET]
    outcome = cxg_assets("new", "lung", "--value-filter", "tissue_general == 'lung'")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.startswith(f"{project}/my_slices/defs/lung/defs.yaml\n")
    assert load_subset("lung").spec.value_filter == "tissue_general == 'lung'"
    told = cxg_assets("status").stdout
    assert told.startswith(f"home: {project}/.cxg, ")
    assert [line.split()[0] for line in told.splitlines()[2:4]] == [SUBSET, "lung"]


def test_its_python_files_are_modules_of_its_package(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (project / "my_slices" / "words.py").write_text("WORD = 'often'\n")
    (project / "my_slices" / "defs" / "weekly.py").write_text(OWN_ASSET)
    loaded = load_definitions(subset_tree())
    assert loaded.not_loaded == ()
    graph = complete(loaded.definitions).resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert {"weekly", f"{SUBSET}/dataset"} <= keys


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("[tool.cxg_assets]\ndefs = 'elsewhere'\n", "tool.cxg_assets.defs: there is no folder {project}/elsewhere"),
        ("[tool.cxg_assets]\ndefs = 3\n", "tool.cxg_assets.defs: 3 is no path of a folder"),
        ("[tool.cxg_assets]\ndefs = \n", "this is no TOML: "),
    ],
)
def test_a_project_that_names_its_subsets_wrongly_is_refused(project: Path, written: str, says: str) -> None:
    file = project / "pyproject.toml"
    file.write_text(written)
    outcome = cxg_assets("status")
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"cxg-assets: {file}: {says.format(project=project)}")


def test_a_project_without_subsets_of_its_own_uses_those_of_the_package(project: Path) -> None:
    (project / "pyproject.toml").write_text("[project]\ndependencies = ['cxg_assets']\n")
    assert subset_names() == sorted(file.parent.name for file in PACKAGE_DEFS.glob("*/defs.yaml"))


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("full", "full is there and not empty; choose another name, or empty it"),
        ("a-file", "a-file is there and not empty"),
        ("2026", "'2026' makes no name of a Python package; begin the folder's name with a letter"),
        ("cxg-assets", "'cxg-assets' is the name of this package; choose another"),
        ("a-file/below", "a-file/below: it cannot be written: Not a directory"),
    ],
)
def test_a_folder_that_makes_no_project_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    (tmp_path / "a-file").touch()
    before = files_below(tmp_path)
    outcome = cxg_assets("init", folder)
    assert outcome.exit_code == 2
    assert says in outcome.stderr
    assert files_below(tmp_path) == before
