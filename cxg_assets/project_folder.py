"""The folder of a project, found from a folder inside it, as git finds a repository, and where its subsets lie."""

import contextlib
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from cxg_assets.ingest.errors import BadInput

LOCAL_FOLDER = ".cxg"
"""Holds everything local of a project."""

CODE_LOCATION = "cxg_assets"
"""The code location of a checkout, and of projects that name none."""

_NAMES_US = re.compile(r"\bcxg[-_]assets\b")
_HAS_TABLE = re.compile(r"^\s*\[\s*tool\s*\.\s*cxg_assets\s*\]", re.MULTILINE)


def project_folder(start: Path) -> Path:
    """The nearest folder with a `.cxg` or, in its pyproject.toml, a table `tool.cxg_assets`.

    Else the nearest with a pyproject.toml that names cxg_assets, else `start`.

    Looked at are `start` and the folders above it, up to the root of the file system, a mount point or the user's home
    folder, which are not looked at themselves: what lies in them is no project of the folders below. Nor is a folder
    of somebody else's: a Dagster instance names code to run, and anybody may make a folder in `/tmp`.

    Args:
        start: Absolute.
    """
    folders = [start, *_own_folders_above(start)]
    for folder in folders:
        if (folder / LOCAL_FOLDER).is_dir() or _HAS_TABLE.search(_text(folder / "pyproject.toml")):
            return folder
    for folder in folders:
        if _NAMES_US.search(_text(folder / "pyproject.toml")):
            return folder
    return start


def declared_defs(project: Path) -> Path | None:
    """The folder that a project's pyproject.toml names as `tool.cxg_assets.defs`; None where it names none.

    Raises:
        BadInput: The file is no TOML, or names something else there.
    """
    file = project / "pyproject.toml"
    text = _text(file)
    if not _HAS_TABLE.search(text):
        return None
    try:
        defs = _of_tool(text, "cxg_assets", "defs")
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{file}: this is no TOML: {error}") from error
    if defs is None:
        return None
    if not isinstance(defs, str) or not defs:
        raise BadInput(f"{file}: tool.cxg_assets.defs: {defs!r} is no path of a folder, like my_slices/defs")
    return (project / defs).resolve()


def code_location_name(project: Path) -> str:
    """What Dagster calls the code of a project: `tool.dagster.code_location_name` of its pyproject.toml, if it has one.

    `dagster dev` reads it there; so the command's runs and `cxg-assets ui` are of the same code location.
    """
    with contextlib.suppress(tomllib.TOMLDecodeError):
        name = _of_tool(_text(project / "pyproject.toml"), "dagster", "code_location_name")
        if isinstance(name, str) and name:
            return name
    return CODE_LOCATION


def _of_tool(text: str, tool: str, key: str) -> object:
    """What a pyproject.toml says of a tool under a key; None where it says nothing."""
    table = tomllib.loads(text).get("tool", {}).get(tool, {})
    return table.get(key) if isinstance(table, dict) else None


def _own_folders_above(start: Path) -> Iterator[Path]:
    """The folders above that may be the project of what lies in `start`, the nearest first."""
    try:
        device, home = start.stat().st_dev, Path("~").expanduser()
        for folder in start.parents:
            if folder in (home, folder.parent) or folder.stat().st_dev != device:
                return
            local = folder / LOCAL_FOLDER
            if (local if local.exists() else folder).stat().st_uid == os.getuid():
                yield folder
    except (OSError, RuntimeError):
        return  # a folder that may not be looked at; a user without a home folder


def _text(file: Path) -> str:
    """What is in a file; empty where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
