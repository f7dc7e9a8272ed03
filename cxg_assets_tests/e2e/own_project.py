"""The package is built as a wheel and installed elsewhere; a project of one's own works there, without a checkout."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anndata

from cxg_assets_tests.servers.webserver import Webserver, free_port, serve

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "setup.cfg", "README.md", "LICENSE", "NOTICE")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
CXG_ASSETS = (sys.executable, "-m", "cxg_assets")


@dataclass(frozen=True)
class OwnProject:
    """A project with a published subset, `blood_normal`, and one that nothing was made of, `lung`.

    Attributes:
        folder: The project.
        server: Its UI.
        environment: In which its commands run.
    """

    folder: Path
    server: Webserver
    environment: Mapping[str, str]

    def run(self, *command: str) -> str:
        """What a command prints that runs in the project."""
        return _run(command, self.folder, self.environment)


@contextmanager
def serve_project(folder: Path, census_uri: str) -> Iterator[OwnProject]:
    """Makes a project in a new folder, by the command of an installed wheel, and serves it until the block ends."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CXG_", "DAGSTER_"))}
    installed = install_wheel(folder)
    environment = kept | {"PYTHONPATH": str(installed), "CXG_CENSUS_URI": census_uri, "CXG_POOL": "local"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    where = _run((sys.executable, "-c", "import cxg_assets; print(cxg_assets.__file__)"), folder, environment)
    assert str(installed) in where
    _run((*CXG_ASSETS, "init", "my-slices"), folder, environment)
    project = folder / "my-slices"
    new = (*CXG_ASSETS, "new", "lung", "--value-filter", "tissue_general == 'lung'")
    _run(new, project / "my_slices", environment)
    _run((*CXG_ASSETS, "ingest", "blood_normal", "--max-obs", "300"), project, environment)
    [chunk] = (project / ".cxg" / "store" / "blood_normal").glob("*/*.h5ad")
    assert anndata.read_h5ad(chunk).n_obs == 300

    port = free_port()
    command = [*CXG_ASSETS, "ui", "-p", str(port)]
    with serve(command, project / ".cxg", census_uri, port, added={"PYTHONPATH": str(installed)}) as ui:
        yield OwnProject(project, ui.server, environment)


def install_wheel(folder: Path) -> Path:
    """The folder that the wheel is installed in; what it needs is there already."""
    source, wheels, target = (folder / name for name in ("source", "wheels", "installed"))
    shutil.copytree(ROOT / "cxg_assets", source / "cxg_assets", ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy(ROOT / name, source)
    alone = ("--no-index", "--no-deps")
    subprocess.run([*PIP, "wheel", *alone, "--no-build-isolation", "-w", str(wheels), str(source)], check=True)
    [wheel] = wheels.glob("*.whl")
    subprocess.run([*PIP, "install", *alone, "--target", str(target), str(wheel)], check=True)
    return target


def _run(command: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> str:
    outcome = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout
