"""The demo census: real reference cells, resampled, in the Census's own layout.

It lets everything in this project run without network access: `cellxgene_census` opens it by URI and cannot tell it
from a release. Counts look like life (depth, sparsity, marker genes that agree with the labels); the studies that the
cells are said to come from are invented.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

__all__ = ["DEMO_SIZE", "MIN_OBS", "Sizes", "build_census", "build_demo", "build_once"]

MIN_OBS = 200
"""Smallest number of human cells: fewer would leave datasets without cells."""

MIN_OTHERS = 60
"""The same of mouse, of each other primate, and of spots."""


class Sizes(TypedDict, total=False):
    """Numbers of cells, as `build_census` takes them."""

    n_obs: int
    n_mouse_obs: int | None
    n_primate_obs: int
    n_spots: int


DEMO_SIZE: Sizes = {"n_obs": 20_000, "n_mouse_obs": 10_500, "n_primate_obs": 500, "n_spots": 1_500}
"""What the demo census of a project has: as much as the Census's own tests ask for."""


def build_census(
    path: str | os.PathLike[str],
    *,
    n_obs: int = 20_000,
    n_mouse_obs: int | None = None,
    n_primate_obs: int = 0,
    n_spots: int = 0,
    seed: int = 0,
    text_as_dictionary: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Build a demo census in a local folder.

    Equal sizes, `seed` and `text_as_dictionary` give equal content: every value of every array. (Files differ in
    their names, which hold a time and a random id.) The census appears under `path` when it is complete, by a rename;
    a build that fails leaves nothing, one that is killed leaves a hidden folder beside `path` that can be deleted.

    Args:
        path: Folder to build; it must not exist or be empty.
        n_obs: Number of human cells, copies included.
        n_mouse_obs: Number of mouse cells; None is a twentieth of the human ones, at least 60 and at most 1,000.
        n_primate_obs: Number of cells of each of macaque, marmoset and chimpanzee; 0 leaves them out.
        n_spots: Number of spots of human and of mouse each in `census_spatial_sequencing`; 0 leaves that out.
        seed: Seed of all randomness.
        text_as_dictionary: Whether the text columns of obs are dictionaries, as in current releases, or plain large
            strings, as in older ones.
        on_progress: Called after each block with the number of cells written and in total, of all organisms.

    Raises:
        ValueError: `n_obs` is below 200, another number between 1 and 59, `seed` is out of range, or `path` is a URI.
        FileExistsError: `path` exists and is not an empty folder.
    """
    target = _checked_target(path)
    if n_obs < MIN_OBS:
        raise ValueError(f"n_obs is {n_obs}; a demo census has at least {MIN_OBS} human cells")
    others = {"n_mouse_obs": n_mouse_obs, "n_primate_obs": n_primate_obs or None, "n_spots": n_spots or None}
    for name, number in others.items():
        if number is not None and number < MIN_OTHERS:
            raise ValueError(f"{name} is {number}; it must be {MIN_OTHERS} or more")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed}; it must be 0 or more and below 2**63")
    # Imported here, so that importing the package costs nothing: tiledbsoma and numba take seconds.
    from cxg_assets.demo.census import write_census
    from cxg_assets.demo.size import Size

    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, because a rename is atomic only within one file system.
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}.unfinished-", dir=target.parent))
    size = Size(n_obs=n_obs, n_mouse_obs=n_mouse_obs, n_primate_obs=n_primate_obs, n_spots=n_spots)
    try:
        write_census(unfinished / "census", size, seed, text_as_dictionary, on_progress or (lambda done, total: None))
        try:
            (unfinished / "census").rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            raise FileExistsError(f"{target} was created by somebody else during the build") from error
    finally:
        shutil.rmtree(unfinished)


def build_demo(path: Path) -> None:
    """Build the demo census of a project, see `DEMO_SIZE`."""
    build_census(path, **DEMO_SIZE)


def build_once(path: Path, build: Callable[[Path], None] = build_demo) -> None:
    """Build a demo census unless there is one; whoever comes second waits for the first.

    Args:
        path: Where it belongs. A lock beside it, `<name>.lock`, stays.
        build: Builds it.
    """
    if path.exists():
        return
    from cxg_assets.locks import exclusive

    with exclusive(path.with_name(f"{path.name}.lock")):
        if not path.exists():
            build(path)


def _checked_target(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path, which must not exist or be an empty folder."""
    if "://" in os.fspath(path):
        raise ValueError(f"{path} is a URI; a demo census is built in a local folder (copy it to its place afterwards)")
    target = Path(path).absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} exists and is not an empty folder: delete it or choose another path")
    return target
