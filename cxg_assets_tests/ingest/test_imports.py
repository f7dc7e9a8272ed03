"""The engine runs without Dagster and without Ray."""

import pkgutil
import subprocess
import sys

import cxg_assets.cli
import cxg_assets.ingest

MODULES = sorted(module.name for module in pkgutil.walk_packages(cxg_assets.ingest.__path__, "cxg_assets.ingest."))
COMMANDS = sorted(module.name for module in pkgutil.iter_modules(cxg_assets.cli.__path__, "cxg_assets.cli."))

_LOADED = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print("\\n".join(sorted(sys.modules)))
"""


def loaded_by(*modules: str) -> set[str]:
    """Names of all modules that are loaded after importing some, in a new interpreter."""
    run = subprocess.run([sys.executable, "-c", _LOADED, *modules], check=True, capture_output=True, text=True)
    return set(run.stdout.split())


def test_importing_the_whole_engine_loads_neither_dagster_nor_ray() -> None:
    loaded = loaded_by(*MODULES)

    assert set(MODULES) <= loaded
    assert "cxg_assets.ingest.chunks.worker" in loaded
    assert [name for name in loaded if name.split(".")[0].startswith(("dagster", "ray"))] == []


def test_what_plans_does_not_load_the_libraries_that_take_seconds() -> None:
    loaded = loaded_by("cxg_assets.ingest.plan.chunk_plan", "cxg_assets.ingest.spec", "cxg_assets.ingest.plan.making")

    assert loaded & {"tiledbsoma", "anndata", "cellxgene_census", "scanpy"} == set()


def test_the_ui_and_every_command_come_up_without_the_libraries_that_take_seconds() -> None:
    loaded = loaded_by("cxg_assets.definitions", *COMMANDS)

    slow = {"tiledbsoma", "anndata", "cellxgene_census", "scanpy", "matplotlib", "pandas", "numba", "scipy"}
    assert loaded & slow == set()
