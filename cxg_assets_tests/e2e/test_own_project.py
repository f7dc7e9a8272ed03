"""The package is built as a wheel and installed elsewhere; a project of one's own works there, without a checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import anndata
import pytest
from playwright.sync_api import expect

from cxg_assets_tests.servers.browser import open_browser
from cxg_assets_tests.servers.webserver import free_port, serve

ROOT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "setup.cfg", "README.md", "LICENSE", "NOTICE")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed in; what it needs is there already."""
    source, wheels = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    shutil.copytree(ROOT / "cxg_assets", source / "cxg_assets", ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy(ROOT / name, source)
    alone = ("--no-index", "--no-deps")
    subprocess.run([*PIP, "wheel", *alone, "--no-build-isolation", "-w", str(wheels), str(source)], check=True)
    [wheel] = wheels.glob("*.whl")
    target = tmp_path_factory.mktemp("installed")
    subprocess.run([*PIP, "install", *alone, "--target", str(target), str(wheel)], check=True)
    return target


def test_a_project_works_with_an_installed_wheel(
    installed: Path, ui_census_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("CXG_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("CXG_CENSUS_URI", ui_census_uri)
    monkeypatch.setenv("CXG_POOL", "local")
    project = tmp_path / "my-slices"

    def run(*command: str, folder: Path = project) -> str:
        outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
        assert outcome.returncode == 0, outcome.stderr
        return outcome.stdout

    cxg_assets = (sys.executable, "-m", "cxg_assets")
    assert str(installed) in run(sys.executable, "-c", "import cxg_assets; print(cxg_assets.__file__)", folder=tmp_path)
    run(*cxg_assets, "init", "my-slices", folder=tmp_path)
    run(*cxg_assets, "new", "lung", "--value-filter", "tissue_general == 'lung'", folder=project / "my_slices")
    run(*cxg_assets, "ingest", "blood_normal", "--max-obs", "300")
    [chunk] = (project / ".cxg" / "store" / "blood_normal").glob("*/*.h5ad")
    assert anndata.read_h5ad(chunk).n_obs == 300
    found = run("dg", "list", "defs", "--json")
    assert "blood_normal/h5ad_chunks" in found
    assert "lung/dataset" in found

    port = free_port()
    command = [*cxg_assets, "ui", "-p", str(port)]
    with (
        serve(command, project / ".cxg", ui_census_uri, port) as ui,
        open_browser(ui.server.url) as browser,
    ):
        nodes = ui.server.query("{ assetNodes { groupName } }")["assetNodes"]
        # The runs of the command above, under the project's name.
        page = browser.page
        page.goto("/overview/activity/timeline")
        for part in ("ingest", "missing_chunks", "publish"):
            expect(page.get_by_text(f"blood_normal_{part}").first).to_be_visible()
        expect(page.get_by_text("my_slices", exact=True).first).to_be_visible()
        expect(page.get_by_text("cxg_assets")).to_have_count(0)
    assert {node["groupName"] for node in nodes} >= {"blood_normal", "lung"}
