"""What is installed elsewhere, compared with what the run has."""

import importlib.metadata
import pickle
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cxg_assets
from cxg_assets.ingest.errors import BadInput
from cxg_assets.resources.cluster.runtime_env import asked_runtime_env
from cxg_assets.resources.cluster.versions import PACKAGES, differences, looking


def test_what_is_installed_is_told_as_pip_has_it() -> None:
    found = looking()()
    assert found["Python"] == platform.python_version()
    assert found["cxg_assets"].startswith(f"{cxg_assets.__version__} (code ")
    for name in PACKAGES:
        try:
            assert found[name] == importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            assert found[name] == ""


def test_a_process_without_cxg_assets_can_be_asked(tmp_path: Path) -> None:
    from ray import cloudpickle

    file = tmp_path / "look"
    dumps: Any = vars(cloudpickle)["dumps"]  # as Ray sends a function
    file.write_bytes(dumps(looking()))
    program = (
        "import sys, pickle; sys.modules['cxg_assets'] = None; look = pickle.load(open(sys.argv[1], 'rb'));"
        "sys.stdout.buffer.write(pickle.dumps(look()))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, check=True)
    theirs = pickle.loads(done.stdout)
    ours = looking()()
    assert differences(theirs, ours) == f"lacks cxg_assets where the run has {ours['cxg_assets']}"


def test_other_code_of_the_same_version_is_a_difference_and_what_the_run_lacks_is_none() -> None:
    ours = {"cxg_assets": "1.0 (code 1)", "tiledbsoma": "2.3.1", "zarr": "", "h5py": "3.13"}
    theirs = {"cxg_assets": "1.0 (code 2)", "tiledbsoma": "2.2.0", "zarr": "3.1"}
    assert differences(theirs, ours) == (
        "has cxg_assets 1.0 (code 2) where the run has 1.0 (code 1), has tiledbsoma 2.2.0 where the run has 2.3.1, "
        "lacks h5py where the run has 3.13"
    )
    assert differences(ours, ours) == ""


def test_what_is_brought_along_begins_at_its_file_and_what_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "deploy" / "runtime_env.yaml"
    (tmp_path / "cxg_assets").mkdir()
    file.parent.mkdir()
    monkeypatch.setenv("CXG_RAY_RUNTIME_ENV", str(file))

    def told(text: str) -> str:
        file.write_text(text)
        with pytest.raises(BadInput) as caught:
            asked_runtime_env()
        return str(caught.value).replace(str(tmp_path), "")

    file.write_text("py_modules: [../cxg_assets, 's3://bucket/a.zip']\nenv_vars: {A: b}")
    there = str(tmp_path / "cxg_assets")
    assert asked_runtime_env() == {"py_modules": [there, "s3://bucket/a.zip"], "env_vars": {"A": "b"}}
    where = "CXG_RAY_RUNTIME_ENV: py_modules in /deploy/runtime_env.yaml"
    assert told("py_modules: [../other]") == f"{where}: there is no /other"
    assert told("py_modules: ../cxg_assets") == f"{where} must be a list of folders"
    assert told("py_modules: [1]") == f"{where}: 1 is no path"
    assert told("text") == "CXG_RAY_RUNTIME_ENV: /deploy/runtime_env.yaml must be a YAML mapping, not 'text'"
    assert told("{").startswith("CXG_RAY_RUNTIME_ENV: /deploy/runtime_env.yaml is no YAML: ")
    monkeypatch.setenv("CXG_RAY_RUNTIME_ENV", "")
    assert asked_runtime_env() == {}
