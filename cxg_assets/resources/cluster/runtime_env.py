"""What a run brings along to the nodes of a cluster, in Ray's words its `runtime_env`."""

from pathlib import Path
from typing import Any

from cxg_assets import settings
from cxg_assets.ingest.errors import BadInput, shown

NAME = "CXG_RAY_RUNTIME_ENV"


def asked_runtime_env() -> dict[str, Any]:
    """What the YAML file says that `CXG_RAY_RUNTIME_ENV` names; empty where it names none.

    Paths of `py_modules` and `working_dir` begin at the file's folder. What else it may say, Ray checks.

    Raises:
        BadInput: There is no such file, it is no YAML mapping, or a path in it is not there.
    """
    asked = settings.Variables().ray_runtime_env
    if not asked:
        return {}
    file = settings.project() / asked
    told = read_mapping(NAME, file)
    if "py_modules" in told:
        modules = told["py_modules"]
        if not isinstance(modules, list):
            raise BadInput(f"{NAME}: py_modules in {file} must be a list of folders")
        told["py_modules"] = [_there(file, "py_modules", module) for module in modules]
    if "working_dir" in told:
        told["working_dir"] = _there(file, "working_dir", told["working_dir"])
    return told


def read_mapping(name: str, file: Path) -> dict[str, Any]:
    """A YAML file that a variable names.

    Raises:
        BadInput: There is none, or it is no mapping.
    """
    import yaml

    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{name}: {file} cannot be read: {getattr(error, 'strerror', '') or error}") from error
    except yaml.YAMLError as error:
        raise BadInput(f"{name}: {file} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(told, dict):
        raise BadInput(f"{name}: {file} must be a YAML mapping, not {shown(told)}")
    return told


def _there(file: Path, attribute: str, path: Any) -> str:
    if not isinstance(path, str):
        raise BadInput(f"{NAME}: {attribute} in {file}: {shown(path)} is no path")
    if "://" in path:
        return path
    found = (file.parent / path).resolve()
    if not found.exists():
        raise BadInput(f"{NAME}: {attribute} in {file}: there is no {found}")
    return str(found)
