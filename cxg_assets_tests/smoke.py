"""What must work wherever the package installs: the demo and its dataset, deep verification, and a backfill in the UI.

`python -m cxg_assets_tests.smoke` needs the package and what it depends on, and nothing that only tests need. `.ci/run`
runs it on other Pythons and with the newest release of everything.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from cxg_assets_tests.servers.webserver import free_port, serve

CXG_ASSETS = (sys.executable, "-m", "cxg_assets")
SUBSET = "blood_normal"


def main() -> None:
    """Does it in a temporary folder.

    Raises:
        CalledProcessError: A command failed; what it printed is above.
        AssertionError: The backfill did not succeed, or made other chunks than there had been.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        home = project / ".cxg"
        run(Path(folder), "init", project.name)
        run(project, "demo", "-p", "local")
        run(project, "verify", SUBSET, "--deep")

        chunks = sorted((home / "store" / SUBSET).glob("*/*.h5ad"))
        for chunk in chunks[1:]:
            chunk.unlink()
        port = free_port()
        with serve([*CXG_ASSETS, "ui", "-p", str(port)], home, str(home / "demo-census"), port) as ui:
            backfill = ui.server.launch_backfill([SUBSET, "h5ad_chunks"])
            status = ui.server.wait_for_backfill(backfill)
        assert status == "COMPLETED_SUCCESS", status
        assert sorted((home / "store" / SUBSET).glob("*/*.h5ad")) == chunks
        run(project, "verify", SUBSET)
    print(f"{len(chunks)} chunks made, verified, and backfilled with Python {sys.version.split()[0]}")


def run(folder: Path, *arguments: str) -> None:
    """Runs `cxg-assets` in a folder, which knows only what it finds there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CXG_", "DAGSTER_"))}
    subprocess.run([*CXG_ASSETS, *arguments], cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    main()
