"""Commands and notebooks work from every folder of a project, on paths as people write them."""

from pathlib import Path
from typing import Any

import pytest

from cxg_assets.cli.project import load_subset
from cxg_assets.components.subset_tree import load_component
from cxg_assets.ingest.errors import BadInput
from cxg_assets_tests.cli.command import cxg_assets, declare
from cxg_assets_tests.cli.conftest import SUBSET, Finished


@pytest.fixture
def subfolder(finished: Finished, finished_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: deep in a project whose `.cxg` is the home of the finished ingest."""
    folder = tmp_path / "work" / "notebooks" / "deep"
    folder.mkdir(parents=True)
    (tmp_path / "work" / ".cxg").symlink_to(finished_home)
    monkeypatch.delenv("CXG_HOME")
    monkeypatch.chdir(folder)
    return folder


def test_a_command_finds_the_project_and_says_so(subfolder: Path, finished: Finished) -> None:
    home = subfolder.parents[1] / ".cxg"
    outcome = cxg_assets("status", SUBSET)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stderr == f"cxg-assets: working in {home}, found from the current folder upwards\n"
    assert outcome.stdout.startswith(f"home: {home}, found from the current folder upwards\n{SUBSET}: plan ")
    assert f"stored {finished.summary['n_files']:,}, missing 0" in outcome.stdout
    assert not (subfolder / ".cxg").exists()


def test_help_says_nothing_of_it(subfolder: Path) -> None:
    assert cxg_assets("status", "--help").stderr == ""


def test_in_the_folder_of_the_project_nothing_is_said(subfolder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(subfolder.parents[1])
    outcome = cxg_assets("status", SUBSET)
    assert outcome.stderr == ""
    assert "in the current folder" in outcome.stdout.splitlines()[0]


def test_a_notebook_finds_what_was_published(subfolder: Path, finished: Finished) -> None:
    from cxg_assets.definitions import defs

    cells: Any = defs.load_asset_value([SUBSET, "dataset"])
    assert cells.n_obs == finished.summary["n_obs"]
    # Which release is meant only the Dagster instance knows, which a notebook names itself.
    with pytest.raises(BadInput, match=f"set DAGSTER_HOME to {subfolder.parents[1]}/.cxg/dagster, or materialize"):
        defs.load_asset_value(["homo_sapiens", "census_index"])


def test_the_destination_of_an_option_is_a_path_from_the_current_folder(
    subfolder: Path, finished: Finished, finished_home: Path
) -> None:
    store = finished_home / "store"
    (subfolder / "chunks").symlink_to(store)
    for place in (str(store), "chunks", "./chunks", "../deep/chunks"):
        outcome = cxg_assets("verify", SUBSET, "--destination", place)
        assert outcome.exit_code == 0, outcome.stderr
        assert f"{finished.summary['n_files']:,} chunks" in outcome.stdout


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/data/out", "file:///data/out"),
        ("./out", "{project}/out"),
        ("results/my cells", "{project}/results/my%20cells"),
        ("../out", "{above}/out"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("", ""),
    ],
)
def test_the_destination_of_a_yaml_is_a_path_from_the_project(
    home: Path, defs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, meant: str
) -> None:
    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    (work / ".cxg").mkdir()
    monkeypatch.delenv("CXG_HOME")
    monkeypatch.chdir(work / "sub")
    declare(defs, destination=written)
    expected = meant.format(project=work.as_uri(), above=tmp_path.as_uri())
    assert load_subset("sample").destination == expected
    assert load_component(defs / "sample").destination == expected


def test_a_new_yaml_has_the_path_as_the_current_folder_makes_it(
    home: Path, defs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cxg_assets("new", "one", "--value-filter", "nnz > 1", "--destination", "out").exit_code == 0
    assert load_subset("one").destination == (tmp_path / "out").as_uri()


def test_a_whole_ingest_goes_to_a_plain_path(
    home: Path, defs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, census_uri: str, workers: object
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "census").symlink_to(census_uri)
    declare(defs)
    outcome = cxg_assets(
        "ingest", "sample", "-n", "50", "-c", "50", "-d", "1", "--destination", "my out", "--census-uri", "census"
    )
    assert outcome.exit_code == 0, outcome.stderr
    assert len(list((tmp_path / "my out" / "sample").rglob("*.h5ad"))) == 1
    assert outcome.stdout.splitlines()[-1] == f"published: {(tmp_path / 'my out').as_uri()}/sample/dataset.json"


def test_the_doctor_names_the_home(subfolder: Path, no_ray: None) -> None:
    outcome = cxg_assets("doctor")
    assert outcome.stdout.startswith(
        f"ok     home         {subfolder.parents[1] / '.cxg'}, found from the current folder upwards\n"
    )
