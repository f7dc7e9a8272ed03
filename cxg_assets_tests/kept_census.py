"""Demo censuses that are kept from one session to the next, for as long as the code that makes them is the same."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cxg_assets
from cxg_assets.demo import build_census
from cxg_assets.locks import exclusive
from cxg_assets_tests.imports import imported

PACKAGE = Path(cxg_assets.__path__[0])
WRITERS = ("numba", "numpy", "pandas", "pyarrow", "scipy", "tiledbsoma")
"""Libraries that decide what is in the files."""

UNUSED_SECONDS = 7 * 24 * 3600.0
"""What nobody has asked for since then is removed, when another is made."""


def kept_census(folder: Path, *, build: Callable[..., None] = build_census, **arguments: Any) -> Path:
    """A demo census, which nobody may change.

    Args:
        folder: Where censuses are kept; processes may share it.
        build: Makes one.
        arguments: Of `build_census`.
    """
    key = hashlib.sha256(f"{code_digest()} {sorted(arguments.items())}".encode()).hexdigest()[:16]
    census, listing = folder / key / "demo", folder / key / "files.json"
    with exclusive(folder / f"{key}.lock"):
        if not (listing.exists() and json.loads(listing.read_text()) == _files(census)):
            shutil.rmtree(folder / key, ignore_errors=True)
            _remove_unused(folder)
            (folder / key).mkdir()
            build(census, **arguments)
            listing.write_text(json.dumps(_files(census)))
        listing.touch()
    return census


@cache
def code_digest(root: Path = PACKAGE) -> str:
    """Of the demo's files, of the modules of this project that they import, and of the libraries that write arrays."""
    found = {path for path in (root / "demo").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    to_read = {path for path in found if path.suffix == ".py"}
    while to_read:
        new = _imported(to_read.pop(), root) - found
        found |= new
        to_read |= new
    digest = hashlib.sha256(repr([(name, version(name)) for name in WRITERS]).encode())
    for path in sorted(found):
        digest.update(f"\n{path.relative_to(root).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _imported(file: Path, root: Path) -> set[Path]:
    """Files that a file imports: a name may be a module, or something in the module before its last dot."""
    names = {name for name in imported(file) if name.split(".")[0] == "cxg_assets"}
    places = [root.joinpath(*module.split(".")[1:]) for name in names for module in (name, name.rpartition(".")[0])]
    return {path for place in places for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()}


def _files(census: Path) -> dict[str, list[int]]:
    """Size and time of each file: a census that was changed or cut short has others."""
    stats = {path.relative_to(census).as_posix(): path.stat() for path in census.rglob("*") if path.is_file()}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in sorted(stats.items())}


def _remove_unused(folder: Path) -> None:
    for listing in folder.glob("*/files.json"):
        if time.time() - listing.stat().st_mtime > UNUSED_SECONDS:
            shutil.rmtree(listing.parent, ignore_errors=True)
