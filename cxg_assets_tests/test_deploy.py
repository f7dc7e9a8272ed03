"""`deploy/dagster.yaml`: what steps print is in S3, and another machine reads it there."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import yaml
from dagster import DagsterEventType, DagsterInstance
from dagster._core.storage.compute_log_manager import ComputeIOType

from cxg_assets.instance.event_log import ReusingSqliteEventLogStorage
from cxg_assets_tests.servers.strict_s3 import BUCKET, Key, StrictS3, forget_aws, serve_strict_s3

DAGSTER_YAML = Path(__file__).parents[1] / "deploy" / "dagster.yaml"
JOB = """
import sys
import dagster as dg

@dg.op
def speak():
    print("said to stdout")
    print("said to stderr", file=sys.stderr)

@dg.job(executor_def=dg.in_process_executor)
def speech():
    speak()
"""


@dataclass(frozen=True)
class Deployed:
    """An instance of which a job ran in a process of its own.

    Attributes:
        server: The S3 of its logs.
        home: DAGSTER_HOME.
        log_key: What the run printed, as the UI knows it: run, folder, name.
    """

    server: StrictS3
    home: Path
    log_key: list[str]

    @property
    def folder(self) -> str:
        """Where the output is in the bucket."""
        return f"dagster-logs/storage/{'/'.join(self.log_key)}"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deployed")
    home = folder / "dagster"
    for made in (home, folder / "s3"):
        made.mkdir()
    shutil.copy(DAGSTER_YAML, home / "dagster.yaml")
    (folder / "job.py").write_text(JOB)
    with serve_strict_s3(folder / "s3") as server, pytest.MonkeyPatch.context() as monkeypatch:
        forget_aws(monkeypatch, folder)
        variables = {
            "DAGSTER_HOME": str(home),
            "CXG_LOGS_BUCKET": BUCKET,
            "AWS_ENDPOINT_URL": f"http://{server.endpoint}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": Key().id,
            "AWS_SECRET_ACCESS_KEY": Key().secret,
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        command = [sys.executable, "-m", "dagster", "job", "execute", "-f", str(folder / "job.py"), "-j", "speech"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        with DagsterInstance.from_config(str(home)) as instance:
            key = log_key(instance)
        yield Deployed(server, home, key)
        shutil.rmtree(Path("/tmp", key[0]), ignore_errors=True)


def log_key(instance: DagsterInstance) -> list[str]:
    """The key of all that the only run printed."""
    [run] = instance.get_runs()
    [event] = instance.all_logs(run.run_id, of_type=DagsterEventType.LOGS_CAPTURED)
    assert event.dagster_event is not None
    return [run.run_id, "compute_logs", event.dagster_event.logs_captured_data.file_key]


def said(instance: DagsterInstance, key: list[str]) -> tuple[str, str]:
    """What a run printed, to stdout and stderr."""
    manager = instance.compute_log_manager
    stdout, _ = manager.get_log_data_for_type(key, ComputeIOType.STDOUT, 0, None)
    stderr, _ = manager.get_log_data_for_type(key, ComputeIOType.STDERR, 0, None)
    return (stdout or b"").decode(), (stderr or b"").decode()


def test_the_file_makes_an_instance_with_our_event_log(deployed: Deployed) -> None:
    with DagsterInstance.from_config(str(deployed.home)) as instance:
        assert isinstance(instance.event_log_storage, ReusingSqliteEventLogStorage)
        assert type(instance.compute_log_manager).__name__ == "S3ComputeLogManager"
        assert not instance.telemetry_enabled
        assert instance.nux_enabled is False


def test_what_a_run_prints_is_in_the_bucket(deployed: Deployed) -> None:
    client = boto3.client("s3")

    def printed(name: str) -> str:
        return client.get_object(Bucket=BUCKET, Key=f"{deployed.folder}.{name}")["Body"].read().decode()

    assert "said to stdout" in printed("out")
    assert "said to stderr" in printed("err")


def test_the_machine_itself_shows_it(deployed: Deployed) -> None:
    with DagsterInstance.from_config(str(deployed.home)) as instance:
        stdout, stderr = said(instance, deployed.log_key)

    assert "said to stdout" in stdout
    assert "said to stderr" in stderr


def test_another_machine_reads_it_in_the_bucket(deployed: Deployed, tmp_path: Path) -> None:
    settings = yaml.safe_load(DAGSTER_YAML.read_text())
    settings["compute_logs"]["config"]["local_dir"] = str(tmp_path / "of-another-machine")
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    before = len(deployed.server.requests("GET"))

    with DagsterInstance.from_config(str(tmp_path)) as instance:
        stdout, stderr = said(instance, deployed.log_key)

    assert "said to stdout" in stdout
    assert "said to stderr" in stderr
    asked = {request.path for request in deployed.server.requests("GET")[before:]}
    assert asked == {f"/{BUCKET}/{deployed.folder}.{name}" for name in ("out", "err")}


def test_no_key_is_stored_in_the_instance(deployed: Deployed) -> None:
    files = [path for path in deployed.home.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if Key().secret.encode() in path.read_bytes()] == []


def test_no_run_leaves_its_logs_in_the_folder_that_all_users_of_a_machine_share(deployed: Deployed) -> None:
    # S3ComputeLogManager stages in /tmp/<run> without a local_dir, and never cleans up.
    assert not Path("/tmp", deployed.log_key[0]).exists()
