"""Fixtures: the network, without faults at the start of each test, and what is made through it then."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cxg_assets.ingest.plan.spans import plan_spans
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets_tests.faults.network import Network, Planned, run_network
from cxg_assets_tests.ingested import run_spans
from cxg_assets_tests.servers.faults import Faults

N_CELLS = 1_600
"""Of the demo census: cells of both fragments of X."""

CHUNK_SIZE = 160


@pytest.fixture(scope="session")
def running_network(census_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with run_network(Path(census_uri), tmp_path_factory.mktemp("network")) as running:
        yield running


@pytest.fixture
def network(running_network: Network) -> Iterator[Network]:
    yield running_network
    for proxy in (running_network.source, running_network.destination):
        proxy.set(Faults())
        proxy.end_outage()


@pytest.fixture(scope="session")
def many_cells(spec: Callable[..., SubsetSpec]) -> SubsetSpec:
    # Not compressed: ISA-L now and then packs the same bytes in another way (docs/reliability.md).
    return spec(name="many_cells", max_obs=N_CELLS, chunk_size=CHUNK_SIZE, compression="none")


@pytest.fixture(scope="session")
def undisturbed(running_network: Network, many_cells: SubsetSpec) -> dict[str, bytes]:
    """The chunks as they are without faults, by path."""
    planned = running_network.plan(many_cells)
    _, failures = run_spans(planned.job, plan_spans(planned.plan.chunks, 1))
    assert not failures
    return planned.chunks()


@pytest.fixture
def planned(network: Network, undisturbed: dict[str, bytes], many_cells: SubsetSpec) -> Planned:
    """A plan of which no chunk was made."""
    return network.plan(many_cells)
