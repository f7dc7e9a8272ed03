"""A whole ingest over S3: one command opens the Census once, each worker its X."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from dagster_aws.s3 import S3Resource

from cxg_assets.cli.run import run_ingest
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource
from cxg_assets_tests.conftest import BLOOD_NORMAL
from cxg_assets_tests.servers.counted_s3 import serve_census, tells_the_build

N_WORKERS = 2


def test_a_whole_ingest_asks_for_nothing_twice_but_x(
    home: Path, census_uri: str, spec: Callable[..., SubsetSpec], workers: None, tmp_path: Path
) -> None:
    wanted = spec(value_filter=BLOOD_NORMAL, chunk_size=40, max_obs=400)
    store = StoreResource(url=(tmp_path / "store").as_uri(), s3=S3Resource())
    with serve_census(Path(census_uri), tmp_path) as in_s3:
        census = CensusResource(uri=in_s3.uri, tiledb_config=in_s3.tiledb_config)

        first = run_ingest(wanted, "", census, store, workers=N_WORKERS)
        requests = in_s3.requests()
        in_s3.forget()
        second = run_ingest(wanted, "", census, store, workers=N_WORKERS)
        requests_again = in_s3.requests()

    assert (first.error, first.chunks.n_files, first.chunks.workers) == ("", 10, N_WORKERS)
    twice = {request: n for request, n in requests.items() if n > 1}
    # The genes of the cells that are compared with the Census are read by its own client, which reads all of var.
    again = [request for request in twice if "/X/raw/" not in request and "/ms/RNA/var/" not in request]
    assert [request for request in again if not tells_the_build(request)] == []
    # Each worker opens X; the run before them, to see that it can be opened; and before publishing the Census's own
    # client, to read some cells of two chunks again.
    assert max(n for request, n in twice.items() if "/X/raw/" in request) == N_WORKERS + 1 + 3
    # When the index was made, before the pool and before publishing it is looked whether it is the same build still.
    assert max(n for request, n in twice.items() if tells_the_build(request)) == 1 + 3
    # Which genes each dataset has measured is published too, from a matrix of its own.
    n_of_presence, n_of_presence_again = n_of_presence_matrix(requests), n_of_presence_matrix(requests_again)
    assert max(n_of_presence, n_of_presence_again) <= 20
    assert requests.total() - n_of_presence <= 380
    assert (second.error, second.chunks.n_files, second.chunks.n_skipped) == ("", 0, 10)
    assert requests_again.total() - n_of_presence_again <= 240


def n_of_presence_matrix(requests: Counter[str]) -> int:
    """Requests for the matrix that tells which dataset has measured which gene."""
    return sum(n for request, n in requests.items() if "/feature_dataset_presence_matrix" in request)
