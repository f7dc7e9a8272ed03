"""The demo census: real reference cells, resampled, in the Census's own layout.

It lets everything in this project run without network access: `cellxgene_census` opens it by URI and cannot tell it
from a release. Counts look like life (depth, sparsity, marker genes that agree with the labels); the studies that the
cells are said to come from are invented.
"""

import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["build_census", "build_once"]


def build_census(
    path: str | os.PathLike[str],
    *,
    n_obs: int = 20_000,
    seed: int = 0,
    text_as_dictionary: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Build a demo census in a local folder.

    Equal `n_obs`, `seed` and `text_as_dictionary` give equal content: every value of every array. (Files differ in
    their names, which hold a time and a random id.) The census appears under `path` when it is complete, by a rename;
    a build that fails leaves nothing, one that is killed leaves a hidden folder beside `path` that can be deleted.

    Args:
        path: Folder to build; it must not exist or be empty.
        n_obs: Number of human cells, copies included. Mouse gets a twentieth of it, at most 1,000.
        seed: Seed of all randomness.
        text_as_dictionary: Whether the text columns of obs are dictionaries, as in current releases, or plain large
            strings, as in older ones.
        on_progress: Called after each block with the number of cells written and in total, mouse included.

    Raises:
        ValueError: `n_obs` is below 200, `seed` is out of range, or `path` is a URI.
        FileExistsError: `path` exists and is not an empty folder.
    """
    # Imported here, so that importing the package costs nothing: tiledbsoma and numba take seconds.
    from cxg_assets.demo.build import write_census

    write_census(path, n_obs=n_obs, seed=seed, text_as_dictionary=text_as_dictionary, on_progress=on_progress)


def build_once(path: Path, build: Callable[[Path], None] = build_census) -> None:
    """Sees that there is a demo census: whoever comes first builds it, and others wait for that.

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
