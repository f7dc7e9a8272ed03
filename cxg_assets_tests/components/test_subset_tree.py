"""What Dagster and its UI say of wrong YAML: the same lines as the command, of all files at once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

import cxg_assets
from cxg_assets.components.subset_tree import load_definitions
from cxg_assets.ingest.errors import BadInput

GOOD = "type: cxg_assets.CensusSubset\nattributes:\n  name: {name}\n  organism: homo_sapiens\n"


def test_mistakes_of_all_files_are_told_at_once(tree: Callable[..., dg.ComponentTree]) -> None:
    built = tree(
        good=GOOD.format(name="good"),
        size=GOOD.format(name="size") + "  chunk_size: lots\n",
        two=GOOD.format(name="two") + "  layer: scaled\n  max_obs: few\n",
        typo=GOOD.format(name="typo") + "  genes:\n    value_fliter: nnz > 5\n",
        yaml=GOOD.format(name="yaml") + "  obs_columns: [assay\n",
    )
    defs = built.defs_module_path
    with pytest.raises(BadInput) as caught:
        load_definitions(built)
    assert str(caught.value).splitlines() == [
        f"{defs}/size/defs.yaml:5: chunk_size: 'lots' is wrong: input should be a valid integer, unable to parse "
        "string as an integer",
        f"{defs}/two/defs.yaml:5: layer: 'scaled' is wrong: input should be 'raw' or 'normalized'",
        f"{defs}/two/defs.yaml:6: max_obs: 'few' is wrong: input should be a valid integer, unable to parse string "
        "as an integer",
        f"{defs}/typo/defs.yaml:6: there is no attribute 'genes.value_fliter'; did you mean value_filter? genes can "
        "have value_filter, feature_ids, file",
        f"{defs}/yaml/defs.yaml:6: this is not YAML: expected ',' or ']', but got '<stream end>'",
    ]
    assert caught.value.__cause__ is None


def test_a_subset_of_another_name_than_its_folder_is_refused(tree: Callable[..., dg.ComponentTree]) -> None:
    with pytest.raises(BadInput, match=r"lung/defs.yaml: name: 'blood' is not the name of its folder; rename one"):
        load_definitions(tree(lung=GOOD.format(name="blood")))


def test_what_is_right_is_loaded(tree: Callable[..., dg.ComponentTree]) -> None:
    definitions = load_definitions(tree(one=GOOD.format(name="one"), two=GOOD.format(name="two")))
    keys = {key for asset in definitions.assets or () if isinstance(asset, dg.AssetsDefinition) for key in asset.keys}
    assert {dg.AssetKey(["one", "dataset"]), dg.AssetKey(["two", "dataset"])} <= keys


def test_a_mistake_in_a_component_of_somebody_else_is_told_by_dagster(tree: Callable[..., dg.ComponentTree]) -> None:
    built = tree(good=GOOD.format(name="good"), other="type: dagster.PythonScriptComponent\nattributes: {exec: 3}\n")
    with pytest.raises(Exception, match="Error while") as caught:
        load_definitions(built)
    assert not isinstance(caught.value, BadInput)


def test_dagster_definitions_validate_shows_file_and_line(tmp_path: Path) -> None:
    # A copy of the package, as an edit of the YAML in place is what users do.
    package = tmp_path / "cxg_assets"
    shutil.copytree(Path(cxg_assets.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    file = package / "defs" / "lung" / "defs.yaml"
    file.parent.mkdir()
    file.write_text(GOOD.format(name="lung") + "  chunk_size: 0\n")
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "cxg_assets.definitions"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "DAGSTER_HOME": str(tmp_path), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert f"BadInput: {file}:5: chunk_size: 0 is not a positive whole number" in said
    assert "Error while loading component" not in said
