"""Fixtures: a small census with another build beside it, and the dataset as it is without faults."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets_tests.conftest import N_OBS
from cxg_assets_tests.servers.chaos.checks import Outcome, check
from cxg_assets_tests.servers.chaos.look import chunks
from cxg_assets_tests.servers.chaos.undisturbed import make_undisturbed
from cxg_assets_tests.servers.chaos.world import Pool, World, new_world


class OutcomeOf(Protocol):
    """Makes the dataset with a fault on the way, and checks all that must hold afterwards."""

    def __call__(self, inject: Callable[[World], str | None], pool: Pool = "ray") -> Outcome:
        """Does it.

        Args:
            inject: The fault.
            pool: What runs the workers: Ray where it, a node or what a run has started is hurt.
        """
        ...


CHUNK_SIZE = 130
N_CHUNKS = N_OBS // CHUNK_SIZE
SEED = 1


@pytest.fixture(scope="session")
def chaos_census(demo_census: Callable[..., Path], census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chaos-census")
    shutil.copytree(demo_census(n_obs=N_OBS * 3 // 4, seed=2), folder / "demo-another")
    shutil.copytree(census_uri, folder / "demo")
    return folder / "demo"


@pytest.fixture(scope="session")
def expected(chaos_census: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digest of each chunk by path in the store, of one worker in this process, that nothing happens to."""
    made = make_undisturbed(chaos_census, CHUNK_SIZE, StoreLocator(url=tmp_path_factory.mktemp("undisturbed").as_uri()))
    dataset = read_dataset(made.store, made.spec.name)
    assert verify(made.store, dataset, made.census) == []
    paths = [made.plan.path(chunk) for chunk in made.plan.chunks]
    return {path: hashlib.sha256(made.store.get(path)).hexdigest() for path in paths}


@pytest.fixture
def outcome_of(chaos_census: Path, expected: dict[str, str], tmp_path: Path) -> Iterator[OutcomeOf]:
    with ExitStack() as stack:

        def run(inject: Callable[[World], str | None], pool: Pool = "ray") -> Outcome:
            world = stack.enter_context(new_world(chaos_census, tmp_path, CHUNK_SIZE, SEED, pool))
            other = inject(world)
            return check(world, expected if other is None else chunks(world, other), deep=other is not None)

        yield run
