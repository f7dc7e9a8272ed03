"""The installed `cxg-assets` script, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.stack

SCRIPT = Path(sys.executable).with_name("cxg-assets")


def script(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CXG_", "DAGSTER_"))}
    return subprocess.run(
        [SCRIPT, *arguments], env=environment | {"CXG_HOME": str(home)}, capture_output=True, text=True, check=False
    )


def test_the_script_makes_an_index_and_says_on_stderr_only_what_takes_long(tmp_path: Path, census_uri: str) -> None:
    output = tmp_path / "mouse.feather"
    done = script(tmp_path / "home", "index", "mus_musculus", str(output), "--census-uri", census_uri)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("index: ")] == []
    assert done.stdout.startswith(f"{output}: {len(pd.read_feather(output)):,} cells of mus_musculus")


def test_bad_input_ends_the_script_with_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = script(tmp_path / "home", "ingest", "nosuch")
    assert done.returncode == 2
    assert done.stdout == ""
    *loading, line = done.stderr.splitlines()
    assert set(loading) <= {"nosuch: loading"}  # where that takes long
    assert line.startswith("cxg-assets: there is no subset 'nosuch' in ")
    assert list(tmp_path.iterdir()) == []
