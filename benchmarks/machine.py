"""What the figures depend on besides the code: machine, versions, commit, date."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("tiledbsoma", "cellxgene-census", "anndata", "h5py", "ray", "dagster", "obstore", "isal", "numba")


def describe_machine(n_obs: int, rounds: int) -> dict[str, Any]:
    """What stands above the table.

    Args:
        n_obs: Cells of the demo census.
        rounds: Rounds of each contender.
    """
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "census": f"demo census of {n_obs:,} cells",
        "rounds": rounds,
        "cpu": f"{os.cpu_count()} cores, {_field('/proc/cpuinfo', 'model name')}",
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "load at the start": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return result.stdout.strip() or "unknown"


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0"
