"""The YAML files in `defs/`, as Dagster's component tree: what is wrong is named and left out, all others load.

Dagster reads every YAML of a tree before it loads one, and one that is wrong ends the loading. So the tree is told here
what it consists of: of each folder and file by itself, as far as it loads.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import dagster as dg
from dagster.components.core.context import ComponentDeclLoadContext
from dagster.components.core.decl import ComponentDecl, DefsFolderDecl, build_filesystem_component_decl_from_context
from dagster.components.core.defs_module import ComponentPath

import cxg_assets.defs
from cxg_assets.components import known_previews
from cxg_assets.components.census_subset import CensusSubset
from cxg_assets.components.defs_folder import PACKAGE_DEFS, defs_folder, entries, is_foreign, require_readable, yaml_of
from cxg_assets.components.yaml_mistakes import describe_foreign_mistake, describe_mistakes
from cxg_assets.ingest.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class NotLoaded:
    """A folder or file in `defs/` that could not be loaded.

    Attributes:
        path: The folder or file.
        mistakes: What is wrong: `<file>:<line>: <what>`, one for each mistake.
    """

    path: Path
    mistakes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What a tree defines, and what of it could not be loaded."""

    definitions: dg.Definitions
    not_loaded: tuple[NotLoaded, ...]


def subset_tree() -> dg.ComponentTree:
    """The tree over the project's `defs/`, read anew; that of the package works installed and in a checkout.

    Raises:
        BadInput: The project names no folder.
    """
    folder = defs_folder()
    if folder == PACKAGE_DEFS:
        return dg.ComponentTree.from_module(cxg_assets.defs, project_root=folder.parent.parent)
    # Python files beside the subsets are modules of the project's package, which need not be installed.
    root = folder.parent.parent
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    module = ModuleType(f"{folder.parent.name}.{folder.name}")
    module.__file__ = str(folder / "__init__.py")
    return dg.ComponentTree.from_module(module, project_root=root)


@known_previews()
def load_definitions(tree: dg.ComponentTree) -> Loaded:
    """What a tree defines, without the folders and files that are wrong. A tree is loaded once."""
    root = tree.defs_module_path
    wrong: dict[Path, str] = {}
    own_yaml = yaml_of(root)
    if own_yaml is not None:
        # It changes what is loaded below it, which Dagster does for all at once.
        try:
            return Loaded(definitions=tree.build_defs(), not_loaded=())
        except Exception as error:  # noqa: BLE001 - a component of another package can raise anything
            wrong[root] = _describe(root, error)
    declared = _declare_all(tree, root, wrong)
    _plant(tree, declared)
    names: dict[str, Path] = {}
    # What lies higher comes first: of two subsets of one name, the command finds that one.
    for path in sorted(_leaves(declared), key=lambda path: (len(path.parts), path)):
        try:
            defined = _names(tree.build_defs(path))
            _require_new(defined, names)
            names |= dict.fromkeys(defined, path)
        except Exception as error:  # noqa: BLE001 - a component of another package can raise anything
            wrong[path] = _describe(path, error)
    _plant(tree, _without(tree, declared, wrong))
    if own_yaml is not None and len(wrong) > 1:
        wrong[root] = f"{own_yaml}:1: this was not applied, as not all that is below it could be loaded"
    not_loaded = tuple(NotLoaded(path=path, mistakes=tuple(wrong[path].splitlines())) for path in sorted(wrong))
    return Loaded(definitions=tree.build_defs(), not_loaded=not_loaded)


def load_component(folder: Path) -> CensusSubset:
    """The subset that a folder declares; other folders may be broken.

    Raises:
        BadInput: Its YAML is wrong: `<file>:<line>: <what is wrong>`, a line for each mistake.
    """
    require_readable(folder)
    file = yaml_of(folder) or folder / "defs.yaml"
    # A tree of this folder alone: Dagster reads every YAML of a tree before it loads one.
    module = ModuleType(f"{cxg_assets.defs.__name__}.{folder.name}")
    module.__file__ = str(folder / "__init__.py")  # Dagster asks for its folder only; it need not exist
    tree = dg.ComponentTree.from_module(module, project_root=folder)
    try:
        component = tree.load_component(folder, CensusSubset)
        component.require_name_of(folder)
    except Exception as error:
        raise BadInput(describe_mistakes(file, error)) from error
    return component


def _declare(tree: dg.ComponentTree, path: Path, wrong: dict[Path, str]) -> ComponentDecl | None:
    """Reads what a file or folder declares, and adds what is wrong; None where nothing can be loaded."""
    try:
        require_readable(path)
    except BadInput as error:
        wrong[path] = str(error)
        return None
    if path.is_dir() and yaml_of(path) is None:
        folder = _declare_all(tree, path, wrong)
        return folder if folder.children else None
    try:
        return build_filesystem_component_decl_from_context(_context(tree, path))
    except Exception as error:  # noqa: BLE001 - Python files are imported, which can raise anything
        wrong[path] = _describe(path, error)
        return None


def _declare_all(tree: dg.ComponentTree, folder: Path, wrong: dict[Path, str]) -> DefsFolderDecl:
    """Reads what a folder holds, and adds what is wrong."""
    try:
        children = {child: _declare(tree, child, wrong) for child in entries(folder)}
    except OSError as error:
        wrong[folder] = f"{folder}: this cannot be read: {error.strerror}; change its owner or mode, or remove it"
        children = {}
    return _folder(tree, folder, {child: decl for child, decl in children.items() if decl is not None})


def _context(tree: dg.ComponentTree, path: Path) -> ComponentDeclLoadContext:
    return tree.decl_load_context.for_component_loc(ComponentPath.from_path(path))


def _folder(tree: dg.ComponentTree, path: Path, children: dict[Path, ComponentDecl]) -> DefsFolderDecl:
    """What Dagster makes of a folder without a YAML of its own."""
    return DefsFolderDecl(
        context=_context(tree, path),
        loc=ComponentPath.from_path(path),
        children=children,
        source_tree=None,
        component_file_model=None,
    )


def _plant(tree: dg.ComponentTree, declared: DefsFolderDecl) -> None:
    """Tells a tree what it consists of, so that it does not look by itself."""
    tree.state_tracker.set_cache_data(declared.loc, component_decl=declared)


def _is_plain(decl: ComponentDecl) -> bool:
    return isinstance(decl, DefsFolderDecl) and decl.source_tree is None


def _leaves(declared: DefsFolderDecl) -> Iterator[Path]:
    """What is loaded by itself: files, and folders with a YAML."""
    for path, decl in declared.children.items():
        if isinstance(decl, DefsFolderDecl) and _is_plain(decl):
            yield from _leaves(decl)
        else:
            yield path


def _without(tree: dg.ComponentTree, declared: DefsFolderDecl, wrong: dict[Path, str]) -> DefsFolderDecl:
    """A folder without what is wrong in it."""
    children = {
        path: _without(tree, decl, wrong) if isinstance(decl, DefsFolderDecl) and _is_plain(decl) else decl
        for path, decl in declared.children.items()
        if path not in wrong
    }
    return _folder(tree, Path(declared.context.path), children)


def _names(definitions: dg.Definitions) -> Counter[str]:
    """How often definitions have an asset or a job of a name; no two may have the same."""
    names: Counter[str] = Counter()
    for asset in definitions.assets or ():
        if isinstance(asset, dg.AssetsDefinition):
            names.update(f"asset {key.to_user_string()}" for key in asset.keys)
        elif isinstance(asset, dg.AssetSpec | dg.SourceAsset):
            names.update([f"asset {asset.key.to_user_string()}"])
    names.update(f"job {job.name}" for job in definitions.jobs or ())
    return names


def _require_new(defined: Counter[str], names: dict[str, Path]) -> None:
    """Refuses what has the name of something that is loaded.

    Raises:
        BadInput: It has.
    """
    for name, times in defined.items():
        if name in names:
            raise BadInput(f"name: the {name} is defined in {names[name]} too; rename one of the two")
        if times > 1:
            raise BadInput(f"name: the {name} is defined {times} times; a subset has a folder of its own")


def _describe(path: Path, error: Exception) -> str:
    file = yaml_of(path)
    if file is None or is_foreign(file):
        return describe_foreign_mistake(file or path, error)
    return describe_mistakes(file, error)
