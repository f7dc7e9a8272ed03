"""What chunks took adds up to what was really read and stored, whichever chunk was the first to need it."""

import dataclasses
from pathlib import Path

import pytest

from cxg_assets.ingest.chunks.report import Costs
from cxg_assets.ingest.sampling import Order
from cxg_assets.ingest.x import costs
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingested import Ingested

N_FIELDS = 3
"""Files of a fragment with the non-zeros: two dimensions and the values."""


@pytest.fixture(scope="module")
def n_bytes_of_x(census_uri: str) -> int:
    """Bytes of all files of X with its non-zeros."""
    fragments = Path(census_uri) / "census_data/homo_sapiens/ms/RNA/X/raw/__fragments"
    files = [*fragments.glob("*/a0.tdb"), *fragments.glob("*/d?.tdb")]
    assert len(files) % N_FIELDS == 0
    return sum(file.stat().st_size for file in files)


def test_all_cells_in_one_pass_read_x_once(ingest: Ingest, spec: type, store_url: str, n_bytes_of_x: int) -> None:
    made = ingest(spec(value_filter=None, genes=None, chunk_size=100), store_url)

    took = Costs.of(made.reports)
    assert len(made.plan.chunks) == len(made.reports) == 26
    # Beside the values only what tells where they are.
    assert n_bytes_of_x <= took.bytes_read <= 1.02 * n_bytes_of_x
    # Chunks of a block have even shares of it.
    first, second = made.reports[:2]
    assert first.bytes_read == pytest.approx(second.bytes_read, abs=1)
    assert 0 < first.read_requests == second.read_requests
    assert took.write_requests == 26
    assert all(report.cpu_seconds > 0 for report in made.reports)


def test_of_fully_shuffled_cells_chunks_read_what_the_first_pass_has_stored(
    ingest: Ingest, spec: type, store_url: str
) -> None:
    made = ingest(spec(genes=None, max_obs=500, chunk_size=250, order=Order(kind="fully_shuffled")), store_url)

    took = Costs.of(made.reports)
    [pieces] = [path for path in made.store.sizes("") if "/piece-" in path]
    assert took.bytes_read == pytest.approx(made.store.sizes("")[pieces], abs=2)
    assert took.read_requests == 2  # where the pools begin, and the only pool


def test_a_zarr_chunk_has_a_request_for_each_of_its_objects(ingest: Ingest, spec: type, store_url: str) -> None:
    made: Ingested = ingest(spec(max_obs=100, format="zarr", compression="lz4"), store_url)

    objects = [path for path in made.store.sizes("") if ".zarr/dataset_" in path]
    assert made.reports[0].write_requests == len(objects) > 1


class Clocks:
    """Stands for `time`: CPU seconds of a process and of the thread that asks, as a test sets them."""

    def __init__(self) -> None:
        self.process = self.thread = 0.0

    def process_time(self) -> float:
        return self.process

    def thread_time(self) -> float:
        return self.thread


def test_cpu_of_other_threads_is_without_that_which_is_measured_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks()
    monkeypatch.setattr(costs, "time", clocks)
    clocks.process, clocks.thread = 10.0, 4.0
    others = costs.OtherThreads()

    clocks.process, clocks.thread = 13.0, 5.0  # two seconds of others
    assert others.lap() == 2.0
    with others.left_out() as seconds:
        clocks.process, clocks.thread = 14.0, 6.0
    clocks.process = 14.5
    assert (seconds, others.lap()) == ([1.0], pytest.approx(-0.5))  # in this test the storing thread is the asking one


def test_sums_have_all_fields() -> None:
    one = Costs(cpu_seconds=1.5, bytes_read=10, read_requests=0.25, write_requests=1)

    assert dataclasses.astuple(Costs.of([one, one])) == (3.0, 20, 0.5, 2)
    assert Costs.of([]) == Costs()
