"""The workspace file, for those who start Dagster's own commands."""

import subprocess
import sys
from pathlib import Path

WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"


def test_dagster_validates_the_definitions(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(WORKSPACE)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
