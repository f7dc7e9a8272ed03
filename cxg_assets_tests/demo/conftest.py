"""One small demo census for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import cellxgene_census
import pytest
import tiledbsoma as soma

from cxg_assets.demo import build_census

N_OBS = 2_000
SEED = 7


@pytest.fixture(scope="session")
def census_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "census"
    build_census(path, n_obs=N_OBS, seed=SEED)
    return path


@pytest.fixture(scope="session")
def census(census_path: Path) -> Iterator[soma.Collection]:
    with cellxgene_census.open_soma(uri=str(census_path)) as opened:
        yield opened
