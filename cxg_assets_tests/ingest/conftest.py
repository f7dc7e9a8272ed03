"""What several tests of the engine look at.

| fixture | what it is |
| --- | --- |
| `obs` | the rows of the filter tests, as TileDB-SOMA holds them |
| `plans` | a copy for one test of four plans of a subset in a folder, a month old; the second is published |
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tiledbsoma

from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingest.filters.rows import N_ROWS, ROWS, SCHEMA
from cxg_assets_tests.ingest.four_plans import DAY, MakeSpec, folder, make_old, make_plans
from cxg_assets_tests.ingested import Ingested


@pytest.fixture(scope="session")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tiledbsoma.DataFrame]:
    uri = str(tmp_path_factory.mktemp("soma") / "obs")
    with tiledbsoma.DataFrame.create(uri, schema=SCHEMA, domain=[[0, N_ROWS - 1]]) as frame:
        frame.write(ROWS)
    with tiledbsoma.DataFrame.open(uri) as frame:
        yield frame


@pytest.fixture(scope="session")
def four(ingest: Ingest, spec: MakeSpec, tmp_path_factory: pytest.TempPathFactory) -> list[Ingested]:
    return make_plans(ingest, spec, tmp_path_factory.mktemp("prune").as_uri())


@pytest.fixture
def plans(four: list[Ingested], tmp_path: Path) -> list[Ingested]:
    shutil.copytree(four[0].locator.url.removeprefix("file://"), tmp_path / "store")
    locator = StoreLocator(url=(tmp_path / "store").as_uri())
    copied = [replace(made, locator=locator, store=locator.open()) for made in four]
    publish(copied[1].store, copied[1].plan, copied[1].reports, copied[1].census)
    make_old(tmp_path / "store", 30 * DAY)
    for number, made in enumerate(copied):
        make_old(folder(made), 30 * DAY - number)
    return copied
