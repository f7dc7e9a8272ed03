"""One small demo census for all tests of this folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cellxgene_census
import pytest
import tiledbsoma as soma

N_OBS, N_PRIMATE_OBS, N_SPOTS = 2_000, 60, 200
SEED = 7


@pytest.fixture(scope="session")
def census_path(demo_census: Callable[..., Path]) -> Path:
    return demo_census(n_obs=N_OBS, n_primate_obs=N_PRIMATE_OBS, n_spots=N_SPOTS, seed=SEED)


@pytest.fixture(scope="session")
def census(census_path: Path) -> Iterator[soma.Collection]:
    with cellxgene_census.open_soma(uri=str(census_path)) as opened:
        yield opened
