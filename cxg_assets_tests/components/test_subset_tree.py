"""What Dagster and its UI get from `defs/`: all that is right, and of what is wrong the lines that the command says."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_graphql.cli import execute_query_from_cli

import cxg_assets
from cxg_assets.components.not_loaded import NOT_LOADED_TAG, log_not_loaded
from cxg_assets.components.subset_tree import load_definitions
from cxg_assets.names import CENSUS_RELEASE, dataset_key
from cxg_assets_tests.components.loaded import keys_of, location, mistakes_of
from cxg_assets_tests.wrong_yaml import HEAD, KINDS, declare, write

OF_SOMEBODY_ELSE = """
import dagster as dg

@dg.asset
def report() -> None: ...
"""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_is_named_and_its_neighbour_loads(tree: Callable[..., dg.ComponentTree], kind: str) -> None:
    built = tree(good=HEAD.format(name="good"))
    folder = built.defs_module_path / "wrong"
    KINDS[kind].make(folder)

    loaded = load_definitions(built)

    assert mistakes_of(loaded) == [KINDS[kind].said.format(folder=folder)]
    assert [one.path for one in loaded.not_loaded] == [folder]
    repository = location(loaded).get_repository_def()
    assert {job.name for job in repository.get_all_jobs()} >= {"good_ingest", "good_missing_chunks", "good_publish"}
    keys = set(repository.asset_graph.get_all_asset_keys())
    assert dataset_key("good") in keys
    assert {key for key in keys if key.path[0] == "wrong"} == {dg.AssetKey(["wrong", "not_loaded"])}


def test_the_mistakes_of_all_files_are_told_at_once_each_with_its_line(tree: Callable[..., dg.ComponentTree]) -> None:
    built = tree(
        good=HEAD.format(name="good"),
        size=HEAD.format(name="size") + "  chunk_size: lots\n",
        two=HEAD.format(name="two") + "  layer: scaled\n  max_obs: few\n",
        typo=HEAD.format(name="typo") + "  genes:\n    value_fliter: nnz > 5\n",
    )
    defs = built.defs_module_path
    assert mistakes_of(load_definitions(built)) == [
        f"{defs}/size/defs.yaml:5: chunk_size: 'lots' is wrong: input should be a valid integer, unable to parse "
        "string as an integer",
        f"{defs}/two/defs.yaml:5: layer: 'scaled' is wrong: input should be 'raw' or 'normalized'",
        f"{defs}/two/defs.yaml:6: max_obs: 'few' is wrong: input should be a valid integer, unable to parse string "
        "as an integer",
        f"{defs}/typo/defs.yaml:6: there is no attribute 'genes.value_fliter'; did you mean value_filter? genes can "
        "have vocabulary, absent, value_filter, feature_ids, file, feature_type, measured_in, highly_variable",
    ]


def test_what_is_right_is_loaded_and_nothing_is_told(
    tree: Callable[..., dg.ComponentTree], caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load_definitions(tree(one=HEAD.format(name="one"), two=HEAD.format(name="two")))
    log_not_loaded(loaded.not_loaded)
    assert loaded.not_loaded == ()
    assert {dataset_key("one"), dataset_key("two")} <= keys_of(location(loaded))
    assert caplog.text == ""


def test_a_project_of_nothing_but_mistakes_loads(tree: Callable[..., dg.ComponentTree]) -> None:
    built = tree(wrong="attributes: [")
    keys = keys_of(location(load_definitions(built)))
    assert keys == {CENSUS_RELEASE, dg.AssetKey(["wrong", "not_loaded"])}


def test_of_two_subsets_of_one_name_the_one_that_the_command_finds_is_loaded(
    tree: Callable[..., dg.ComponentTree],
) -> None:
    built = tree(lung=HEAD.format(name="lung"))
    defs = built.defs_module_path
    (defs / "atlas").mkdir()
    declare(defs / "atlas" / "lung")
    declare(defs / "atlas" / "liver")

    loaded = load_definitions(built)

    assert mistakes_of(loaded) == [
        f"{defs}/atlas/lung/defs.yaml:3: name: the asset lung/filtered_subset is defined in {defs}/lung too; rename "
        "one of the two"
    ]
    assert {dataset_key("lung"), dataset_key("liver")} <= keys_of(location(loaded))


def test_two_subsets_in_one_file_are_named_and_break_no_other(tree: Callable[..., dg.ComponentTree]) -> None:
    built = tree(good=HEAD.format(name="good"), twice=HEAD.format(name="twice") + "---\n" + HEAD.format(name="twice"))
    loaded = load_definitions(built)
    [said] = mistakes_of(loaded)
    assert said.startswith(f"{built.defs_module_path}/twice/defs.yaml:8: name: the asset twice/")
    assert said.endswith("is defined 2 times; a subset has a folder of its own")
    assert dataset_key("good") in keys_of(location(loaded))


def test_a_component_and_a_module_of_somebody_else_load_beside_a_mistake(
    tree: Callable[..., dg.ComponentTree],
) -> None:
    script = "type: dagster.PythonScriptComponent\nattributes:\n  execution: {path: x.py}\n  assets: [{key: made}]\n"
    built = tree(good=HEAD.format(name="good"), other=script, wrong="attributes: [")
    (built.defs_module_path / "mine.py").write_text(OF_SOMEBODY_ELSE)
    keys = keys_of(location(load_definitions(built)))
    assert {dg.AssetKey("made"), dg.AssetKey("report"), dataset_key("good")} <= keys


def test_a_mistake_of_somebody_else_is_named_and_breaks_no_subset(tree: Callable[..., dg.ComponentTree]) -> None:
    built = tree(good=HEAD.format(name="good"), other="type: dagster.PythonScriptComponent\nattributes: {exec: 3}\n")
    defs = built.defs_module_path
    (defs / "mine.py").write_text("import dagster\n\nraise OSError('no database')\n")
    (defs / "more.py").write_text("x = [\n")

    loaded = load_definitions(built)

    mine, more, other = mistakes_of(loaded)
    assert mine == f"{defs}/mine.py:3: OSError: no database"
    assert more.startswith(f"{defs}/more.py:1: SyntaxError: '[' was never closed")
    assert other == f"{defs}/other/defs.yaml:2: attributes.execution: Field required"
    assert dataset_key("good") in keys_of(location(loaded))


def test_a_yaml_for_all_of_the_folder_is_applied_when_all_is_right_and_said_not_to_be_when_not(
    tree: Callable[..., dg.ComponentTree],
) -> None:
    built = tree(good=HEAD.format(name="good"))
    defs = built.defs_module_path
    (defs / "defs.yaml").write_text(
        "type: dagster.DefsFolderComponent\n"
        "post_processing: {assets: [{target: '*', attributes: {tags: {lab: ours}}}]}\n"
    )
    loaded = load_definitions(built)
    assert loaded.not_loaded == ()
    assert location(loaded).resolve_asset_graph().get(dataset_key("good")).tags["lab"] == "ours"

    declare(defs / "wrong", "  layer: counts\n")
    loaded = load_definitions(dg.ComponentTree.from_module(built.defs_module, project_root=defs.parent))
    assert mistakes_of(loaded) == [
        f"{defs}/defs.yaml:1: this was not applied, as not all that is below it could be loaded",
        f"{defs}/wrong/defs.yaml:5: layer: 'counts' is wrong: input should be 'raw' or 'normalized'",
    ]
    assert dataset_key("good") in keys_of(location(loaded))


@pytest.mark.parametrize("name", ["a-b.c", "lung blood", "größe", os.fsdecode(b"\xff\xfe"), "x" * 200, "'q`"])
def test_a_folder_whose_name_no_asset_can_have_is_named(
    tree: Callable[..., dg.ComponentTree], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    built = tree(good=HEAD.format(name="good"))
    declare(built.defs_module_path / name, name="good")
    loaded = load_definitions(built)
    log_not_loaded(loaded.not_loaded)
    definitions = location(loaded)
    [key] = [key for key in keys_of(definitions) if key.path[-1] == "not_loaded"]
    described = definitions.resolve_asset_graph().get(key).description
    assert described is not None
    assert "name: 'good' is not the name of its folder" in described.encode().decode()
    assert "name: 'good' is not the name of its folder" in caplog.text.encode().decode()


def test_folders_whose_names_differ_only_in_what_dagster_does_not_allow_are_both_named(
    tree: Callable[..., dg.ComponentTree],
) -> None:
    built = tree(good=HEAD.format(name="good"))
    for name in ("a-b", "a.b"):
        write(built.defs_module_path / name, "")
    definitions = location(load_definitions(built))
    described = definitions.resolve_asset_graph().get(dg.AssetKey(["a_b", "not_loaded"])).description
    assert described is not None
    assert "/a-b/defs.yaml:1: " in described
    assert "/a.b/defs.yaml:1: " in described


def test_a_code_server_loads_what_is_right_and_the_ui_tells_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # A copy of the package, as an edit of the YAML in place is what users do.
    package = tmp_path / "project" / "cxg_assets"
    shutil.copytree(Path(cxg_assets.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    said: list[str] = []
    for number, wrong in enumerate(KINDS.values()):
        folder = package / "defs" / f"wrong_{number}"
        wrong.make(folder)
        said.append(wrong.said.format(folder=folder))
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    query = """{ assetNodes { assetKey { path } groupName description kinds tags { key } jobNames } }"""
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        target = ModuleTarget(
            module_name="cxg_assets.definitions", attribute=None, working_directory=str(package.parent),
            location_name="cxg_assets",
        )  # fmt: skip
        with WorkspaceProcessContext(instance, target) as context:
            answer = json.loads(execute_query_from_cli(context, query))
    nodes = {"/".join(node["assetKey"]["path"]): node for node in answer["data"]["assetNodes"]}
    assert {"blood_normal/dataset", "immune_markers/dataset", "census_release"} <= set(nodes)
    for number, mistake in enumerate(said):
        node = nodes[f"wrong_{number}/not_loaded"]
        assert mistake.replace("`", "'") in node["description"]
        assert node["groupName"] == f"wrong_{number}"
        assert NOT_LOADED_TAG in [tag["key"] for tag in node["tags"]]
        assert node["kinds"] == ["yaml"]
    logged = capfd.readouterr()
    assert [mistake for mistake in said if f"not loaded: {mistake}" not in logged.out + logged.err] == []


def test_each_mistake_is_one_warning(tree: Callable[..., dg.ComponentTree], caplog: pytest.LogCaptureFixture) -> None:
    built = tree(two=HEAD.format(name="two") + "  layer: scaled\n  max_obs: few\n")
    log_not_loaded(load_definitions(built).not_loaded)
    first, second = caplog.records
    assert (first.levelno, second.levelno) == (logging.WARNING, logging.WARNING)
    assert f"not loaded: {built.defs_module_path}/two/defs.yaml:5: layer: " in first.getMessage()
    assert f"not loaded: {built.defs_module_path}/two/defs.yaml:6: max_obs: " in second.getMessage()
