"""Builds the demo census: plan, write into a temporary folder beside the target, rename."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tiledbsoma as soma

from cxg_assets.demo.experiment import write_organism
from cxg_assets.demo.info import BUILD_DATE, release_name, write_info
from cxg_assets.demo.layout import (
    CENSUS_SCHEMA_VERSION,
    DATASET_SCHEMA_VERSION,
    WRITER_CONFIG,
)
from cxg_assets.demo.plan import MIN_OBS, OrganismPlan, n_mouse_obs, plan_organism
from cxg_assets.demo.studies import HUMAN, MOUSE


def write_census(
    path: str | os.PathLike[str],
    *,
    n_obs: int,
    seed: int,
    text_as_dictionary: bool,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Build a census at `path`; see `cxg_assets.demo.build_census`."""
    target = _checked_target(path)
    if n_obs < MIN_OBS:
        raise ValueError(f"n_obs is {n_obs}; a demo census has at least {MIN_OBS} human cells")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed is {seed}; it must be 0 or more and below 2**63")

    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, because a rename is atomic only within one file system.
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}.unfinished-", dir=target.parent))
    try:
        _write(unfinished / "census", n_obs, seed, text_as_dictionary, on_progress)
        try:
            (unfinished / "census").rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            raise FileExistsError(f"{target} was created by somebody else during the build") from error
    finally:
        shutil.rmtree(unfinished)


def _checked_target(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path, which must not exist or be an empty folder."""
    if "://" in os.fspath(path):
        raise ValueError(f"{path} is a URI; a demo census is built in a local folder (copy it to its place afterwards)")
    target = Path(path).absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} exists and is not an empty folder: delete it or choose another path")
    return target


def _write(
    folder: Path,
    n_obs: int,
    seed: int,
    text_as_dictionary: bool,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    human = plan_organism(HUMAN, n_obs=n_obs, seed=seed, first_dataset_joinid=0)
    mouse = plan_organism(MOUSE, n_obs=n_mouse_obs(n_obs), seed=seed, first_dataset_joinid=len(human.datasets))
    plans: tuple[OrganismPlan, ...] = (human, mouse)
    release = release_name(n_obs=n_obs, seed=seed)
    n_total = sum(plan.n_obs for plan in plans)
    n_done = 0

    def on_cells(n_cells: int) -> None:
        nonlocal n_done
        n_done += n_cells
        if on_progress is not None:
            on_progress(n_done, n_total)

    context = soma.SOMATileDBContext(tiledb_config=WRITER_CONFIG)
    with (
        soma.Collection.create(folder.as_posix(), context=context) as census,
        ThreadPoolExecutor(os.cpu_count()) as threads,
    ):
        census.metadata["created_on"] = BUILD_DATE
        census.metadata["cxg_schema_version"] = DATASET_SCHEMA_VERSION
        census.metadata["census_schema_version"] = CENSUS_SCHEMA_VERSION
        census.metadata["demo_release"] = release
        with census.add_new_collection("census_data") as census_data:
            organisms = [
                write_organism(
                    census_data,
                    plan,
                    n_presence_rows=sum(len(plan.datasets) for plan in plans),
                    text_as_dictionary=text_as_dictionary,
                    threads=threads,
                    on_cells=on_cells,
                )
                for plan in plans
            ]
        write_info(census, organisms, release=release)
