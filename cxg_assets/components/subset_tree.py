"""The YAML files in `defs/`, as Dagster's component tree."""

from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import yaml

import cxg_assets.defs
from cxg_assets.components.census_subset import CensusSubset
from cxg_assets.components.yaml_mistakes import describe_mistakes
from cxg_assets.ingest.errors import BadInput

DEFS_FOLDER = Path(cxg_assets.defs.__path__[0])


def subset_tree() -> dg.ComponentTree:
    """The tree over `defs/`, read anew; it works for an installed package as for a checkout."""
    return dg.ComponentTree.from_module(cxg_assets.defs, project_root=DEFS_FOLDER.parent.parent)


def load_definitions(tree: dg.ComponentTree) -> dg.Definitions:
    """What a tree defines. Dagster and its UI show the error as it is, with its lines.

    Raises:
        BadInput: YAML of subsets is wrong: `<file>:<line>: <what is wrong>`, a line for each mistake of all of them.
    """
    try:
        definitions = tree.build_defs()
    except Exception:
        mistakes = _all_mistakes(tree.defs_module_path)
        if not mistakes:
            raise
        # Without its cause, which is Dagster's whole tree, printed once for each level of it.
        raise BadInput("\n".join(mistakes)) from None
    return definitions


def load_component(folder: Path) -> CensusSubset:
    """The subset that a folder declares; other folders may be broken.

    Raises:
        BadInput: Its YAML is wrong: `<file>:<line>: <what is wrong>`, a line for each mistake.
    """
    file = folder / "defs.yaml"
    # A tree of this folder alone: Dagster reads every YAML of a tree before it loads one.
    module = ModuleType(f"{cxg_assets.defs.__name__}.{folder.name}")
    module.__file__ = str(folder / "__init__.py")  # Dagster asks for its folder only; it need not exist
    tree = dg.ComponentTree.from_module(module, project_root=folder)
    try:
        component = tree.load_component(folder, CensusSubset)
    except Exception as error:
        raise BadInput(describe_mistakes(file, error)) from error
    component.require_name_of(folder)
    return component


def _all_mistakes(defs_folder: Path) -> list[str]:
    mistakes: list[str] = []
    for file in sorted(defs_folder.glob("*/defs.yaml")):
        if not _may_be_a_subset(file):
            continue
        try:
            load_component(file.parent)
        except BadInput as error:
            mistakes.append(str(error))
    return mistakes


def _may_be_a_subset(file: Path) -> bool:
    """Whether it is no component of somebody else's, of which we know nothing."""
    try:
        declared: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return True
    type_name = declared.get("type") if isinstance(declared, dict) else None
    return not isinstance(type_name, str) or type_name.startswith("cxg_assets.")
