"""A Dagster instance in PostgreSQL, named as Dagster documents it: on a real server."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.instance.opening import open_instance
from cxg_assets.names import dataset_key, h5ad_chunks_key
from cxg_assets_tests.cli.command import cxg_assets
from cxg_assets_tests.conftest import BLOOD_NORMAL
from cxg_assets_tests.instance.at_once import Way, open_at_once
from cxg_assets_tests.kept_workers import KeptWorkers
from cxg_assets_tests.platforms import Platform
from cxg_assets_tests.servers.postgres import PASSWORD, USER, Postgres, serve_postgres
from cxg_assets_tests.servers.webserver import Webserver, free_port, wait_until

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with serve_postgres() as running:
        yield running


def by_url(server: Postgres, database: str) -> dict[str, Any]:
    return {"postgres_url": server.url(database)}


def by_parts(server: Postgres, database: str) -> dict[str, Any]:
    parts = {"username": USER, "password": {"env": "CXG_TEST_PASSWORD"}, "hostname": "127.0.0.1"}
    return {"postgres_db": {**parts, "db_name": database, "port": server.port}}


def use(folder: Path, postgres: dict[str, Any]) -> Path:
    """Writes the `dagster.yaml` of an instance. Returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"postgres": postgres}}))
    return folder


def all_at_once(platform: Platform) -> bool:
    return platform.make_range("00000", "00002").success


def what_is_missing(platform: Platform) -> bool:
    return platform.make_missing().success


@pytest.mark.parametrize(("form", "make"), [(by_url, what_is_missing), (by_parts, all_at_once)])
def test_an_ingest_is_recorded_there_and_read_back(
    form: Callable[[Postgres, str], dict[str, Any]],
    make: Callable[[Platform], bool],
    server: Postgres,
    spec: Callable[..., SubsetSpec],
    census_uri: str,
    workers: KeptWorkers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXG_TEST_PASSWORD", PASSWORD)
    server.create(form.__name__)
    folder = use(tmp_path / "dagster", form(server, form.__name__))
    small = spec(value_filter=BLOOD_NORMAL, chunk_size=60, max_obs=150)
    with open_instance(folder) as instance:
        made = Platform(instance, small, census_uri, (tmp_path / "store").as_uri())
        assert made.prepare().success
        assert make(made)
        assert made.publish().success
        keys = [chunk.key for chunk in made.plan.chunks]
        fingerprints = {chunk.key: chunk.fingerprint for chunk in made.plan.chunks}

    assert len(keys) == 3
    with open_instance(folder) as instance:
        read = Platform(instance, small, census_uri, (tmp_path / "store").as_uri())
        assert instance.get_materialized_partitions(h5ad_chunks_key(small.name)) == set(keys)
        recorded = {str(event.partition): (event.tags or {})["dagster/data_version"] for event in read.chunk_events()}
        assert recorded == fingerprints
        [published] = instance.fetch_materializations(dataset_key(small.name), limit=5).records
        assert published.asset_materialization is not None
    assert not list(folder.rglob("*.db"))


def test_eight_commands_at_once_make_its_tables(server: Postgres, tmp_path: Path) -> None:
    server.create("at_once")
    commands: list[Way] = ["command"] * 8
    assert open_at_once([(use(tmp_path, by_url(server, "at_once")), commands)]) == [[""] * 8]


def test_the_webserver_reads_it(server: Postgres, home: Path) -> None:
    server.create("webserver")
    folder = use(home / "dagster", by_url(server, "webserver"))
    assert cxg_assets("status").exit_code == 0
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "dagster_webserver", "--empty-workspace", "-h", "127.0.0.1", "-p", str(port)],
        env=os.environ | {"DAGSTER_HOME": str(folder)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until("the webserver answers", lambda: answers(port), 60)
        runs = Webserver(f"http://127.0.0.1:{port}").query("{ runsOrError { ... on Runs { results { id } } } }")
        assert runs == {"runsOrError": {"results": []}}
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        return "version" in Webserver(f"http://127.0.0.1:{port}").query("{ version }")
    except OSError:
        return False
