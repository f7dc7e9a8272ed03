"""`cxg-assets census`: the demo census."""

from pathlib import Path

import click
from tqdm import tqdm

from cxg_assets.ingest.census.cpu import require_cpu
from cxg_assets.ingest.errors import BadInput

DEFAULT_N_OBS = 20_000


@click.group("census")
def census_group() -> None:
    """Demo censuses, in the layout of the real one."""


@census_group.command("build")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--n-obs", default=DEFAULT_N_OBS, show_default=True, help="Human cells.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other cells.")
def build(path: Path, n_obs: int, seed: int) -> None:
    """Builds a demo census of real reference cells, resampled, at PATH."""
    build_with_bar(path, n_obs=n_obs, seed=seed)
    click.echo(f"{path}: a census of {n_obs:,} human cells; use it with --census-uri or CXG_CENSUS_URI")


def build_with_bar(path: Path, *, n_obs: int = DEFAULT_N_OBS, seed: int = 0) -> None:
    """Builds a demo census with a progress bar.

    Raises:
        BadInput: The folder is in use, or n_obs is too small.
    """
    require_cpu()
    from cxg_assets.demo import build_census

    path.parent.mkdir(parents=True, exist_ok=True)
    # With a delay, so that the bar does not show before bad input is found.
    with tqdm(total=None, desc="demo census", unit=" cells", delay=0.1) as bar:

        def show(n_done: int, n_total: int) -> None:
            bar.total = n_total
            bar.update(n_done - bar.n)

        try:
            build_census(path, n_obs=n_obs, seed=seed, on_progress=show)
        except (ValueError, FileExistsError) as error:
            raise BadInput(str(error)) from error
