"""The rows of the filter tests, as TileDB-SOMA holds them."""

from collections.abc import Iterator

import pytest
import tiledbsoma

from cxg_assets_tests.ingest.filter_rows import N_ROWS, ROWS, SCHEMA


@pytest.fixture(scope="session")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tiledbsoma.DataFrame]:
    uri = str(tmp_path_factory.mktemp("soma") / "obs")
    with tiledbsoma.DataFrame.create(uri, schema=SCHEMA, domain=[[0, N_ROWS - 1]]) as frame:
        frame.write(ROWS)
    with tiledbsoma.DataFrame.open(uri) as frame:
        yield frame
