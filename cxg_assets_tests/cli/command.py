"""Runs the command in this process, and looks at what it left behind."""

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from cxg_assets.cli.main import run
from cxg_assets.cli.terminal import telling
from cxg_assets.components import defs_folder

SETTINGS = ("CXG_CENSUS_URI", "CXG_CENSUS_VERSION", "CXG_STORE_URL", "DAGSTER_HOME", "RAY_ADDRESS")
"""Variables that would lead a test out of its folder."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended and what it said."""

    exit_code: int
    stdout: str
    stderr: str


def cxg_assets(*arguments: str) -> Outcome:
    """Runs `cxg-assets` with these arguments, as the installed script does."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["cxg-assets", *arguments]),
        # A busy machine changes nothing of what is read here.
        mock.patch.object(telling, "PATIENCE", 3_600),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        pytest.raises(SystemExit) as ended,
    ):
        run()
    code = ended.value.code
    return Outcome(exit_code=code if isinstance(code, int) else 0, stdout=stdout.getvalue(), stderr=stderr.getvalue())


def move_to(home: Path, census_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `home` the folder of everything local, and `census_uri` the Census."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CXG_HOME", str(home))
    if census_uri:
        monkeypatch.setenv("CXG_CENSUS_URI", census_uri)


def use_defs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `folder` the place of the subsets' YAML."""
    monkeypatch.setattr(defs_folder, "PACKAGE_DEFS", folder)


def declare(folder: Path, **attributes: Any) -> Path:
    """Writes the YAML of a human subset of blood. Keyword arguments change and add attributes. Returns the file."""
    declared = {"name": "sample", "organism": "homo_sapiens", "value_filter": "tissue_general == 'blood'"} | attributes
    return declare_text(folder, yaml.safe_dump({"type": "cxg_assets.CensusSubset", "attributes": declared}))


def declare_text(folder: Path, text: str) -> Path:
    """Writes the YAML of the subset `sample`. Returns the file."""
    file = folder / "sample" / "defs.yaml"
    file.parent.mkdir()
    file.write_text(text)
    return file


def files_below(folder: Path) -> dict[str, int]:
    """Sizes of all files below a folder, by relative path; empty where there is no folder."""
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
