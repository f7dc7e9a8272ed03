"""docs/deploy.md as plain processes: a backfill goes on while the code server, PostgreSQL and a Ray node are killed."""

import os
import shlex
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import yaml
from dagster import DagsterEventType, DagsterInstance, EventLogRecord, RunsFilter
from dagster._core.storage.compute_log_manager import ComputeIOType

from cxg_assets.instance.postgres.event_log import ReusingPostgresEventLogStorage
from cxg_assets.names import (
    chunk_partitions,
    h5ad_chunks_key,
    ingest_job_name,
    missing_chunks_job_name,
    publish_job_name,
)
from cxg_assets_tests.resources.test_ray_cluster import listening_addresses
from cxg_assets_tests.servers.deployment import DEPLOY, SUBSET, Deployment, command, commands, serve_deployment
from cxg_assets_tests.servers.faults import Faults
from cxg_assets_tests.servers.strict_s3 import BUCKET, Key
from cxg_assets_tests.servers.webserver import wait_until

pytestmark = pytest.mark.stack

N_CHUNKS = 200
CHUNK_SIZE = 13
"""The demo census has 2,600 cells."""

CHUNKS = h5ad_chunks_key(SUBSET)


@pytest.fixture(scope="module")
def deployment(census_uri: str) -> Iterator[Deployment]:
    with serve_deployment(census_uri, "soma_joinid >= 0", CHUNK_SIZE) as running:
        yield running


@pytest.fixture(scope="module")
def instance(deployment: Deployment) -> Iterator[DagsterInstance]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in deployment.variables.items():
            monkeypatch.setenv(name, value)
        with DagsterInstance.from_config(deployment.variables["DAGSTER_HOME"]) as opened:
            yield opened


@dataclass(frozen=True, kw_only=True)
class Backfill:
    """A backfill during which something was killed.

    Attributes:
        run_id: Its run over all chunks.
        before: Ids of the events that were on record before each of the faults.
    """

    run_id: str
    before: dict[str, set[int]]


@pytest.fixture(scope="module")
def backfill(deployment: Deployment, instance: DagsterInstance) -> Backfill:
    deployment.web.stop_sensor("ingest_chain")  # step by step
    deployment.run(command("dagster job launch"))
    [planned] = wait_until("the plan's run is there", lambda: runs_of(instance, ingest_job_name(SUBSET)), 60)
    assert deployment.web.wait_for_run(planned) == "SUCCESS"
    partitions = chunk_partitions(SUBSET).name
    assert partitions is not None
    assert len(instance.get_dynamic_partitions(partitions)) == N_CHUNKS
    slow = Faults(rates={"stall": 1.0}, methods=("PUT",), path=".h5ad", stall_seconds=1.5)
    deployment.proxy.set(slow)
    said = deployment.run(command("dagster-graphql"))
    launched = yaml.safe_load(said)["data"]["launchPartitionBackfill"]["backfillId"]
    before: dict[str, set[int]] = {}
    for fault in (kill_code_server, restart_postgres, lose_ray_node):
        n_before = len(recorded(instance))
        wait_until("chunks are recorded", lambda n=n_before: len(recorded(instance)) >= n + 8, 120)
        before[fault.__name__] = {record.storage_id for record in recorded(instance)}
        fault(deployment)
    n_before = len(recorded(instance))
    wait_until("chunks are recorded again", lambda: len(recorded(instance)) > n_before, 120)
    deployment.proxy.set(Faults())
    status = deployment.web.wait_for_backfill(launched)
    if status != "COMPLETED_SUCCESS":  # a statement was cut off: what the page says of PostgreSQL
        deployment.web.run_job(missing_chunks_job_name(SUBSET))
    [run] = instance.get_runs(RunsFilter(tags={"dagster/backfill": launched}))
    return Backfill(run_id=run.run_id, before=before)


def kill_code_server(deployment: Deployment) -> None:
    n_before = deployment.starts("code-server")
    # All of it before another one is started; the run's own process goes on.
    for pid in [*deployment.processes("dagster code-server start"), *deployment.processes("dagster api grpc")]:
        os.kill(pid, signal.SIGKILL)
    deployment.wait_restarted("code-server", n_before)
    wait_until("the code location is loaded again", deployment.web.is_ready, 120)


def restart_postgres(deployment: Deployment) -> None:
    n_before = deployment.starts("postgres")
    [pid] = deployment.processes("postgres -D")
    os.kill(pid, signal.SIGINT)  # its fast shutdown: open connections are cut
    deployment.wait_restarted("postgres", n_before)


def lose_ray_node(deployment: Deployment) -> None:
    n_before = deployment.starts("ray-node")
    raylets = {pid: line for pid, line in deployment.processes("/raylet/raylet").items() if "--head" not in line}
    [pid] = raylets
    os.kill(pid, signal.SIGKILL)
    deployment.wait_restarted("ray-node", n_before)


def runs_of(instance: DagsterInstance, job: str) -> list[str]:
    return [run.run_id for run in instance.get_runs() if run.job_name == job]


def recorded(instance: DagsterInstance) -> list[EventLogRecord]:
    """The materializations of chunks, newest first."""
    return list(instance.fetch_materializations(CHUNKS, limit=1_000).records)


def test_the_page_has_at_most_15_commands_and_the_script_runs_its_services() -> None:
    assert 0 < len(commands()) <= 15
    script = (DEPLOY / "plain_processes.py").read_text().replace('"\n        "', "").replace("'\n        \"", "")
    services = commands()[commands().index("python deploy/postgres.py postgres") :][:7]
    for service in services:
        assert service in script


def test_all_chunks_are_recorded_once(deployment: Deployment, instance: DagsterInstance, backfill: Backfill) -> None:
    events = [event.asset_materialization for event in recorded(instance) if event.asset_materialization]
    # A step that is cut off between storing a chunk and recording it records it as stored when it begins again.
    written = Counter(event.partition for event in events if "already_stored" not in event.metadata)
    assert len({event.partition for event in events}) == N_CHUNKS
    assert len(written) > N_CHUNKS // 2
    assert set(written.values()) == {1}


def test_what_was_recorded_is_not_lost(instance: DagsterInstance, backfill: Backfill) -> None:
    kept = {record.storage_id for record in recorded(instance)}
    for fault, before in backfill.before.items():
        assert before, fault
        assert before <= kept, fault


def test_the_dataset_is_published_and_verified(deployment: Deployment, backfill: Backfill) -> None:
    deployment.web.run_job(publish_job_name(SUBSET))
    assert f"{N_CHUNKS} chunks" in deployment.run(command("cxg-assets verify"))


def test_the_health_checks_of_the_containers_pass(deployment: Deployment, backfill: Backfill) -> None:
    ports = {"6379": "RAY_HEAD_PORT", "4266": "CODE_SERVER_PORT", "3000": "WEBSERVER_PORT"}
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name in ("ray-head", "code-server", "webserver", "daemon"):
        _, *words = services[name]["healthcheck"]["test"]
        line = " ".join(shlex.quote(word) for word in words)
        for port, variable in ports.items():
            line = line.replace(port, deployment.variables[variable])
        deployment.run(line)


def test_what_was_killed_was_started_again(deployment: Deployment, backfill: Backfill) -> None:
    assert {name: deployment.starts(name) for name in ("code-server", "postgres", "ray-node", "webserver")} == {
        "code-server": 2, "postgres": 2, "ray-node": 2, "webserver": 1,
    }  # fmt: skip


def log_key(instance: DagsterInstance, run_id: str) -> list[str]:
    """The key of all that a run printed, as the UI knows it."""
    event, *_ = instance.all_logs(run_id, of_type=DagsterEventType.LOGS_CAPTURED)
    assert event.dagster_event is not None
    return [run_id, "compute_logs", event.dagster_event.logs_captured_data.file_key]


def test_what_a_run_prints_is_in_the_bucket_and_another_machine_reads_it_there(
    deployment: Deployment, instance: DagsterInstance, backfill: Backfill, tmp_path: Path
) -> None:
    key = log_key(instance, backfill.run_id)
    client = boto3.client("s3", endpoint_url=deployment.variables["AWS_ENDPOINT_URL"])
    printed = client.get_object(Bucket=BUCKET, Key=f"dagster-logs/storage/{'/'.join(key)}.err")["Body"].read()
    assert printed

    settings = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    settings["compute_logs"]["config"]["local_dir"] = str(tmp_path / "of-another-machine")
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    with DagsterInstance.from_config(str(tmp_path)) as other:
        found, _ = other.compute_log_manager.get_log_data_for_type(key, ComputeIOType.STDERR, 0, None)
    assert found == printed
    # S3ComputeLogManager stages in /tmp/<run> without a local_dir, and never cleans up.
    assert not Path("/tmp", backfill.run_id).exists()


def test_the_instance_is_the_one_of_the_file(instance: DagsterInstance) -> None:
    assert type(instance.event_log_storage) is ReusingPostgresEventLogStorage
    assert type(instance.compute_log_manager).__name__ == "S3ComputeLogManager"
    assert not instance.telemetry_enabled
    assert instance.nux_enabled is False


def test_no_secret_is_anywhere_but_in_the_folder_of_secrets(deployment: Deployment, backfill: Backfill) -> None:
    variables = deployment.variables
    secrets = [
        Key().secret,
        variables["DAGSTER_PG_PASSWORD"],
        Path(variables["RAY_AUTH_TOKEN_PATH"]).read_text().strip(),
    ]
    folder = deployment.project / "secrets"
    files = [path for path in deployment.project.rglob("*") if path.is_file() and folder not in path.parents]
    assert files
    for secret in secrets:
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
        assert [line for line in deployment.processes().values() if secret in line] == []


def test_postgres_and_dagster_listen_on_this_machine_alone(deployment: Deployment, backfill: Backfill) -> None:
    # Ray's processes listen on all interfaces, and ask for the token: docs/deploy.md.
    for service in ("postgres -D", "dagster code-server", "dagster api grpc", "dagster-webserver"):
        processes = set(deployment.processes(service))
        assert processes, service
        addresses = set(listening_addresses(processes))
        assert addresses <= {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}, (
            service
        )
