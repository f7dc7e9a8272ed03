"""The folder `defs/`: what lies in it, and whether that can be read at all."""

import os
import re
from pathlib import Path
from typing import Any

import yaml

import cxg_assets.defs
from cxg_assets import settings
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.spec import NAME_PATTERN
from cxg_assets.project_folder import declared_defs

PACKAGE_DEFS = Path(cxg_assets.defs.__path__[0])
"""Of a checkout that is worked in; a project of one's own has another."""

_YAML_NAMES = ("defs.yaml", "defs.yml", "component.yaml")
"""Names that Dagster gives to the YAML of a folder; the first one counts."""


def defs_folder() -> Path:
    """Where the subsets lie: what the project's pyproject.toml names as `tool.cxg_assets.defs`, else in the package.

    Raises:
        BadInput: What it names is no folder, or the file cannot be read.
    """
    declared = declared_defs(settings.project())
    if declared is None:
        return PACKAGE_DEFS
    if not declared.is_dir():
        raise BadInput(
            f"{settings.project() / 'pyproject.toml'}: tool.cxg_assets.defs: there is no folder {declared}; create it, "
            "or name the one that holds the subsets"
        )
    return declared


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, in the order of the alphabet, without what Dagster leaves out."""
    return sorted(path for path in folder.iterdir() if path.name != "__pycache__" and not path.name.startswith("."))


def yaml_of(folder: Path) -> Path | None:
    """The YAML of a folder, which may be a link that leads nowhere; None where there is none."""
    return next((folder / name for name in _YAML_NAMES if os.path.lexists(folder / name)), None)


def subset_folders(defs_folder: Path) -> list[Path]:
    """The folders that declare a subset, also those that declare it wrongly.

    Raises:
        BadInput: `defs_folder` cannot be read.
    """
    require_readable(defs_folder)
    return [path for path in entries(defs_folder) if _may_be_a_subset(path)]


def subsets_in(folder: Path) -> list[str]:
    """Names of the subsets that a folder declares: its own, or with `organisms` one for each of them.

    Of a YAML that cannot be read it is the folder's name, under which its mistakes are told.
    """
    declared = _read(yaml_of(folder))
    attributes = declared.get("attributes") if isinstance(declared, dict) else None
    if not isinstance(attributes, dict) or "organism" in attributes:
        return [folder.name]
    organisms = attributes.get("organisms")
    if not isinstance(organisms, list) or not organisms:
        return [folder.name]
    return [name_of_member(folder.name, str(organism)) for organism in organisms]


def name_of_member(name: str, organism: str) -> str:
    """Name of the subset of one of several organisms."""
    return f"{name}_{organism}"


def is_foreign(file: Path) -> bool:
    """Whether a YAML declares a component of another package; False for what is no readable YAML."""
    declared = _read(file)
    type_name = declared.get("type") if isinstance(declared, dict) else None
    return isinstance(type_name, str) and not type_name.startswith("cxg_assets.")


def require_readable(path: Path) -> None:
    """Makes sure that a file can be found, or a folder listed and its YAML read as text.

    Raises:
        BadInput: It cannot; the message begins with the file or folder.
    """
    file = path
    try:
        _require_target(path)
        if not path.is_dir():
            return
        os.listdir(path)
        found = yaml_of(path)
        if found is None:
            return
        file = found
        _require_target(file)
        if not file.is_file():
            raise BadInput(f"{file}: this is not a file; a subset's YAML must be one")
        file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"{file}: this cannot be read: {error.strerror or error}; change its owner or mode, or remove it"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BadInput(f"{file}:{line}: this is not text in UTF-8; save it as UTF-8") from error


def _read(file: Path | None) -> Any:
    """What a YAML says; None where it cannot be read."""
    if file is None or not file.is_file():
        return None
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return None


def _require_target(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise BadInput(f"{path}: this is a broken link; give it a target, or remove it")


def _may_be_a_subset(path: Path) -> bool:
    """Whether an entry of `defs/` is a folder with the YAML of a subset, or may have one that cannot be seen."""
    if path.is_symlink() and not path.exists():
        return re.fullmatch(NAME_PATTERN, path.name) is not None
    if not path.is_dir():
        return False
    try:
        os.listdir(path)
    except OSError:
        return True
    file = yaml_of(path)
    return file is not None and not is_foreign(file)
