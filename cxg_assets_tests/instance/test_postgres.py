"""A Dagster instance in PostgreSQL, named as Dagster documents it and by our class: on a real server."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import DagsterInstance
from sqlalchemy import create_engine, text

from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.instance.opening import open_instance
from cxg_assets.instance.postgres.event_log import ReusingPostgresEventLogStorage
from cxg_assets.names import dataset_key, h5ad_chunks_key
from cxg_assets_tests.cli.command import cxg_assets
from cxg_assets_tests.conftest import BLOOD_NORMAL
from cxg_assets_tests.events import KEY, RUN, partitions_of_run, record, recorded
from cxg_assets_tests.instance.at_once import Way, open_at_once
from cxg_assets_tests.instance.test_planned_partitions import planned
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


def by_our_class(server: Postgres, database: str) -> dict[str, Any]:
    where = {"module": "cxg_assets.instance.postgres.storage", "class": "ReusingPostgresStorage"}
    return where | {"config": {"postgres_url": server.url(database)}}


def use(folder: Path, postgres: dict[str, Any]) -> Path:
    """Writes the `dagster.yaml` of an instance. Returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = "custom" if "module" in postgres else "postgres"
    (folder / "dagster.yaml").write_text(yaml.safe_dump({"storage": {kind: postgres}}))
    return folder


def all_at_once(platform: Platform) -> bool:
    return platform.make_range("00000", "00002").success


def what_is_missing(platform: Platform) -> bool:
    return platform.make_missing().success


@pytest.mark.parametrize(
    ("form", "make"), [(by_url, what_is_missing), (by_parts, all_at_once), (by_our_class, all_at_once)]
)
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
    assert open_at_once([(use(tmp_path, by_our_class(server, "at_once")), commands)]) == [[""] * 8]


def test_a_range_is_planned_as_dagsters_class_stores_it(server: Postgres, tmp_path: Path) -> None:
    answers = []
    for form in (by_url, by_our_class):
        database = f"planned_{form.__name__}"
        server.create(database)
        with open_instance(use(tmp_path / database, form(server, database))) as instance:
            answers.append(planned(instance))
    assert answers[0] == answers[1]


@pytest.fixture
def ours(server: Postgres, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[DagsterInstance]:
    """An instance with our class, in a database of its own."""
    database = request.node.name[-40:]
    server.create(database)
    with open_instance(use(tmp_path, by_our_class(server, database))) as instance:
        assert type(instance.event_log_storage) is ReusingPostgresEventLogStorage
        yield instance


def backend(instance: DagsterInstance) -> int:
    """The server's process that serves the next statement."""
    log: Any = instance.event_log_storage
    with log.run_connection(RUN) as connection:
        return connection.scalar(text("SELECT pg_backend_pid()"))


def test_chunks_are_recorded_over_one_connection(ours: DagsterInstance) -> None:
    record(ours, "c0")  # looks besides which tables there are
    first = backend(ours)
    for partition in ("c1", "c2"):
        record(ours, partition)
    assert backend(ours) == first
    assert recorded(ours) == partitions_of_run(ours.event_log_storage) == ["c0", "c1", "c2"]


def test_a_connection_that_the_server_has_ended_is_replaced(ours: DagsterInstance) -> None:
    record(ours, "c0")
    first = backend(ours)
    log: Any = ours.event_log_storage
    others = create_engine(log.postgres_url, isolation_level="AUTOCOMMIT")
    with others.connect() as connection:
        assert connection.scalar(text(f"SELECT pg_terminate_backend({first}, 10000)"))
    others.dispose()

    record(ours, "c1")
    assert recorded(ours) == ["c0", "c1"]
    assert backend(ours) != first


_FORK = """
import os, sys
from pathlib import Path
from cxg_assets.instance.opening import open_instance
from cxg_assets_tests.events import record, recorded

with open_instance(Path(sys.argv[1])) as instance:
    record(instance, "before")
    child = os.fork()
    if not child:
        record(instance, "child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    record(instance, "after")
    print(recorded(instance))
"""


def test_a_forked_child_opens_its_own_connection(ours: DagsterInstance) -> None:
    command = [sys.executable, "-c", _FORK, str(ours.root_directory)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout == "['before', 'child', 'after']\n", run.stderr


def test_partitions_are_forgotten_and_the_log_of_their_run_stays(ours: DagsterInstance) -> None:
    for partition in ("c0", "c1", "c2"):
        record(ours, partition)
    n_events = len(ours.all_logs(RUN))

    ours.wipe_asset_partitions(KEY, ["c1"])

    assert recorded(ours) == ["c0", "c2"]
    assert ours.get_materialized_partitions(KEY) == {"c0", "c2"}
    assert len(ours.all_logs(RUN)) == n_events
    record(ours, "c1")
    assert recorded(ours) == ["c0", "c2", "c1"]


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
