"""The deployment of docs/deploy.md on this machine: the page's own commands, in a project of its own."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from cxg_assets_tests.servers.faults import FaultyProxy
from cxg_assets_tests.servers.postgres import INSTALLED
from cxg_assets_tests.servers.process_tree import end_processes
from cxg_assets_tests.servers.strict_s3 import BUCKET, REGION, Key, StrictS3, serve_strict_s3
from cxg_assets_tests.servers.webserver import Webserver, free_port, wait_until

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "deploy.md"
DEPLOY = ROOT / "deploy"
SUBSET = "blood_normal"
PROJECT = "cells"
MARK = "CXG_TEST_DEPLOYMENT"
"""A variable that all processes of a deployment have, with the project's folder."""

SECONDS = 180.0


def commands() -> list[str]:
    """All lines of the page's shell blocks."""
    return [
        line for block in re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL) for line in block.splitlines()
    ]


def command(part: str) -> str:
    """The only command of the page that has a text in it."""
    [found] = [line for line in commands() if part in line]
    return found


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Services that run.

    Attributes:
        project: Folder of the project.
        s3: The server of chunks and logs.
        proxy: What services reach it through.
        web: Dagster's webserver.
        variables: Of the services, as `deploy/cluster.env` sets them.
    """

    project: Path
    s3: StrictS3
    proxy: FaultyProxy
    web: Webserver
    variables: Mapping[str, str]

    def run(self, line: str) -> str:
        """What a command of the page prints in the project's folder; it must succeed."""
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.project, env=self.variables, capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def processes(self, *words: str) -> dict[int, str]:
        """Command lines by id of its processes that have all these words in theirs."""
        return {pid: line for pid, line in living(self.project).items() if all(word in line for word in words)}

    def starts(self, service: str) -> int:
        """How often a service was started."""
        said = (self.project / "services.log").read_text().splitlines()
        return sum(line.startswith(f"{service}: ") or line.startswith(f"{service} ended") for line in said)

    def wait_restarted(self, service: str, n_before: int) -> None:
        """Waits until a service was started once more."""
        wait_until(f"{service} is started again", lambda: self.starts(service) > n_before, SECONDS)


@contextmanager
def serve_deployment(census_uri: str, value_filter: str, chunk_size: int) -> Iterator[Deployment]:
    """Runs the page's commands up to the running services, until the block ends; then nothing of them is left.

    Args:
        census_uri: Path of the Census.
        value_filter: Of the subset.
        chunk_size: Of the subset.
    """
    if not list(INSTALLED.glob("*/bin")):
        pytest.skip(f"there is no PostgreSQL in {INSTALLED}: apt-get install postgresql (see .ci/run)")
    # A short path for Ray's sockets, which PostgreSQL's own user may enter.
    folder = Path(tempfile.mkdtemp(prefix="cxg-deploy-", dir="/tmp"))
    folder.chmod(0o711)
    project = folder / PROJECT
    try:
        shutil.copytree(DEPLOY, folder / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "s3").mkdir()
        plain = _environment(folder)
        _bash(command("cxg-assets init"), folder, plain)
        _bash(command("mkdir -m 700 secrets"), project, plain)
        _write_subset(project, value_filter, chunk_size)
        with serve_strict_s3(folder / "s3") as s3, FaultyProxy(int(s3.endpoint.rpartition(":")[2])) as proxy:
            key = Key()
            credentials = f"[default]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n"
            (project / "secrets" / "aws_credentials").write_text(credentials)
            _edit_variables(project, census_uri, proxy.port)
            told = _bash(f"{command('set -a')}\n{command('mkdir -p')}\nenv -0", project, plain)
            variables = dict(entry.split("=", 1) for entry in told.split("\0") if entry)
            web = Webserver(f"http://127.0.0.1:{variables['WEBSERVER_PORT']}")
            with (project / "services.log").open("wb") as log:
                services = subprocess.Popen(
                    [sys.executable, "deploy/plain_processes.py"], cwd=project, env=variables, stdout=log, stderr=log,
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
                )  # fmt: skip

            def loaded() -> bool:
                assert services.poll() is None, (project / "services.log").read_text()
                return web.is_ready()

            try:
                wait_until("the code location is loaded", loaded, SECONDS)
                yield Deployment(project=project, s3=s3, proxy=proxy, web=web, variables=variables)
                services.send_signal(signal.SIGTERM)
                services.wait(60)
                assert living(project) == {}
            finally:
                end_processes(lambda: list(living(project)))
                services.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def living(project: Path) -> dict[int, str]:
    """Command lines by id of the processes that belong to a deployment."""
    mark = f"{MARK}={project}"
    found: dict[int, str] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0"):
                line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
                if line:
                    found[int(pid)] = line
    return found


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of this process's that tells of a Census, S3, Dagster or Ray; the programs of this environment first."""
    theirs = ("AWS_", "CXG_", "DAGSTER_", "RAY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return kept | {"PATH": path, MARK: str(folder / PROJECT), "RAY_TMPDIR": "/tmp", "AWS_EC2_METADATA_DISABLED": "true"}


def _bash(line: str, folder: Path, environment: Mapping[str, str]) -> str:
    return subprocess.run(
        ["bash", "-ec", line], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def _write_subset(project: Path, value_filter: str, chunk_size: int) -> None:
    """Makes the subset that a new project has one of another selection and size."""
    file = project / PROJECT / "defs" / SUBSET / "defs.yaml"
    text, n_filters = re.subn(r"(?m)^  value_filter: .*$", f'  value_filter: "{value_filter}"', file.read_text())
    text, n_sizes = re.subn(r"(?m)^  chunk_size: \d+$", f"  chunk_size: {chunk_size}", text)
    assert n_filters == n_sizes == 1
    file.write_text(text)


def _edit_variables(project: Path, census_uri: str, s3_port: int) -> None:
    """Sets in `deploy/cluster.env` what the page tells to set, and other ports than the usual ones."""
    changes = {
        "DAGSTER_PG_PORT": str(free_port()),
        "CODE_SERVER_PORT": str(free_port()),
        "WEBSERVER_PORT": str(free_port()),
        "RAY_HEAD_PORT": str(free_port()),
        "RAY_START_OPTIONS": '"--object-store-memory=80000000 --disable-usage-stats --num-cpus=1"',
        "CXG_STORE_URL": f"s3://{BUCKET}/chunks",
        "CXG_LOGS_BUCKET": BUCKET,
        "AWS_REGION": REGION,
    }
    file = project / "deploy" / "cluster.env"
    text = file.read_text()
    for name, value in changes.items():
        text, n_changed = re.subn(rf"(?m)^{name}=.*$", f"{name}={value}", text)
        assert n_changed == 1, name
    text, n_changed = re.subn(r"(?m)^CXG_CENSUS_VERSION=.*$", f"CXG_CENSUS_URI={census_uri}", text)
    assert n_changed == 1
    file.write_text(f"{text}AWS_ENDPOINT_URL=http://127.0.0.1:{s3_port}\n")
