"""Folders and files of subsets that may not be read: they are named, and their neighbours load."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from cxg_assets.components.defs_folder import subset_folders
from cxg_assets.components.subset_tree import load_component, load_definitions
from cxg_assets.ingest.errors import BadInput
from cxg_assets.names import dataset_key
from cxg_assets_tests.components.loaded import keys_of, location, mistakes_of
from cxg_assets_tests.wrong_yaml import declare

NOBODY = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """With the rights of nobody: root may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def open_tree(
    tree: Callable[..., dg.ComponentTree], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, dg.ComponentTree]]:
    """A folder that everybody can get to, with the subsets `good` and `wrong`, and its tree."""
    module = tree().defs_module
    load_definitions(dg.ComponentTree.from_module(module, project_root=Path()))  # and what is imported by it
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    declare(folder / "good")
    declare(folder / "wrong", "  genes: {file: genes.txt}\n")
    (folder / "wrong" / "genes.txt").write_text("ENSG00000167286\n")
    monkeypatch.setattr(module, "__path__", [str(folder)])
    monkeypatch.setattr(module, "__file__", str(folder / "__init__.py"))
    yield folder, dg.ComponentTree.from_module(module, project_root=folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("locked", "says"),
    [
        ("wrong", "{folder}/wrong: this cannot be read: Permission denied; change its owner or mode, or remove it"),
        ("wrong/defs.yaml", "{folder}/wrong/defs.yaml: this cannot be read: Permission denied; change its owner or "
         "mode, or remove it"),
        ("wrong/genes.txt", "{folder}/wrong/defs.yaml:5: genes.file: cannot read {folder}/wrong/genes.txt: Permission "
         "denied"),
    ],
)  # fmt: skip
def test_a_folder_or_file_that_may_not_be_read_is_named_and_its_neighbour_loads(
    open_tree: tuple[Path, dg.ComponentTree], locked: str, says: str
) -> None:
    folder, built = open_tree
    (folder / locked).chmod(0o000)
    with as_nobody():
        loaded = load_definitions(built)
        with pytest.raises(BadInput) as caught:
            load_component(folder / "wrong")
        folders = subset_folders(folder)
    assert mistakes_of(loaded) == [says.format(folder=folder)]
    assert str(caught.value) == says.format(folder=folder)
    assert [path.name for path in folders] == ["good", "wrong"]
    assert dataset_key("good") in keys_of(location(loaded))


def test_where_the_folder_of_all_may_not_be_read_it_is_named_and_the_ui_comes_up(
    open_tree: tuple[Path, dg.ComponentTree],
) -> None:
    folder, built = open_tree
    folder.chmod(0o000)
    says = f"{folder}: this cannot be read: Permission denied; change its owner or mode, or remove it"
    with as_nobody():
        loaded = load_definitions(built)
        with pytest.raises(BadInput, match=says):
            subset_folders(folder)
    assert mistakes_of(loaded) == [says]
    assert len(keys_of(location(loaded))) == 2
