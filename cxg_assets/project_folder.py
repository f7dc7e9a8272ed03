"""The folder of a project, found from a folder inside it, as git finds a repository."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

LOCAL_FOLDER = ".cxg"
"""Holds everything local of a project."""

_NAMES_US = re.compile(r"\bcxg[-_]assets\b")


def project_folder(start: Path) -> Path:
    """The nearest folder with a `.cxg`, then the nearest with a pyproject.toml that names cxg_assets, then `start`.

    Looked at are `start` and the folders above it, up to the root of the file system, a mount point or the user's home
    folder, which are not looked at themselves: what lies in them is no project of the folders below. Nor is a folder
    of somebody else's: a Dagster instance names code to run, and anybody may make a folder in `/tmp`.

    Args:
        start: Absolute.
    """
    folders = [start, *_own_folders_above(start)]
    for folder in folders:
        if (folder / LOCAL_FOLDER).is_dir():
            return folder
    for folder in folders:
        if _is_named_in(folder / "pyproject.toml"):
            return folder
    return start


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


def _is_named_in(file: Path) -> bool:
    try:
        return _NAMES_US.search(file.read_text(encoding="utf-8")) is not None
    except (OSError, UnicodeDecodeError):
        return False
