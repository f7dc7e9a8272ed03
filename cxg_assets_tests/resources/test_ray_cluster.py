"""The Ray that a run starts itself, and one that it joins."""

import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cxg_assets.ingest.chunks.worker_environment import WORKER_ENVIRONMENT
from cxg_assets.ingest.errors import BadInput
from cxg_assets.resources.ray_folder import PREFIX, short_folder
from cxg_assets_tests.servers.processes import LOOPBACK, listening_addresses, with_children

pytestmark = pytest.mark.stack

STRANGER = """
import sys
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError

try:
    GcsClient(address=sys.argv[1]).internal_kv_keys(b"", namespace=b"fun")
except AuthenticationError:
    print("refused")
"""
"""A process without the token of a Ray asks it for the names of what it keeps."""

OWN = """
import json, os, signal, subprocess, sys
import dagster as dg
import ray
from cxg_assets.resources.ray_cluster import RunRay, dashboard_url, leave_ray, worker_runtime_env

def on_sigterm(signal_number, frame): pass

signal.signal(signal.SIGTERM, on_sigterm)
context = RunRay().connect(dg.build_op_context())
worker = ray.get(ray.remote(lambda: dict(os.environ)).remote())
seen = {"runtime_env": worker_runtime_env(), "worker": worker, "driver": dict(os.environ)}
seen |= {"dashboard": dashboard_url(context), "folder": context.address_info["session_dir"]}
without = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
without["RAY_AUTH_MODE"] = "disabled"
ask = [sys.executable, "-c", os.environ["STRANGER"], context.address_info["gcs_address"]]
seen["stranger"] = subprocess.run(ask, env=without, capture_output=True, text=True).stdout
seen["keeps_on_sigterm"] = signal.getsignal(signal.SIGTERM) is on_sigterm
print(json.dumps(seen), flush=True)
input()
leave_ray()
"""

JOINED = """
import json, os
import ray
from cxg_assets.resources.ray_cluster import dashboard_url, start_own_ray, worker_runtime_env

# As somebody else starts one.
joined = start_own_ray({"resources": {}, "include_dashboard": True, "dashboard_host": "127.0.0.1"})
worker = ray.remote(lambda: dict(os.environ)).options(runtime_env=worker_runtime_env()).remote()
print(json.dumps({"worker": ray.get(worker), "dashboard": dashboard_url(joined)}), flush=True)
input()
"""

SHARED = """
import json, os, sys
import dagster as dg
import ray
from cxg_assets.resources.ray_cluster import one_ray_for_several_runs, wait_for_held_ray

with one_ray_for_several_runs() as leave:
    wait_for_held_ray()
    with one_ray_for_several_runs() as leave_inner:
        leave_inner()
        first = ray.get(ray.remote(lambda: os.getppid()).remote())
    second = ray.get(ray.remote(lambda: os.getppid()).remote())
    imported = ray.get(ray.remote(lambda: "tiledbsoma" in sys.modules).remote())
    print(json.dumps({"raylets": [first, second], "imported": imported, "dashboard": None}), flush=True)
    input()
    leave()
assert not ray.is_initialized()
"""

LONG_NAME = "of_a_user_or_a_job_" * 5
"""Of a folder for temporary files: in it the path of a socket would be too long."""


@dataclass(frozen=True)
class Running:
    """A program with a Ray of its own, as it is while that runs: the tests share a Ray, and a process has one at most.

    Attributes:
        seen: What it has printed, as JSON.
        dashboard_status: What the dashboard that it names has answered.
        addresses: What it and its Ray listen on, as the kernel writes it.
        errors: What it said on stderr.
    """

    seen: dict[str, Any]
    dashboard_status: int | None
    addresses: list[str]
    errors: str


def run(program: str, log: Path, **environment: str) -> Running:
    mine = {name: value for name, value in os.environ.items() if name not in {*WORKER_ENVIRONMENT, "RAY_ADDRESS"}}
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-c", program], env={**mine, **environment}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said, log.read_text()
        seen = json.loads(said)
        status = None
        if seen["dashboard"]:
            with urllib.request.urlopen(seen["dashboard"]) as page:
                status = page.status
        addresses = listening_addresses(with_children(process.pid))
        process.communicate("\n")
    return Running(seen, status, addresses, log.read_text())


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Running:
    folder = tmp_path_factory.mktemp("own")
    temporary = folder / LONG_NAME
    temporary.mkdir()
    return run(OWN, folder / "log", OPENBLAS_NUM_THREADS="2", TMPDIR=str(temporary), STRANGER=STRANGER)


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Running:
    return run(JOINED, tmp_path_factory.mktemp("joined") / "log")


def test_a_process_without_its_token_is_refused(own: Running) -> None:
    assert own.seen["stranger"] == "refused\n"


def test_its_processes_have_the_environment_of_workers_and_the_driver_keeps_its_own(own: Running) -> None:
    assert own.seen["runtime_env"] == {}
    assert WORKER_ENVIRONMENT.items() - own.seen["worker"].items() == {("OPENBLAS_NUM_THREADS", "1")}
    assert own.seen["worker"]["OPENBLAS_NUM_THREADS"] == "2"
    assert own.seen["driver"].keys() & WORKER_ENVIRONMENT.keys() == {"OPENBLAS_NUM_THREADS"}


def test_the_actors_of_a_ray_that_was_joined_get_the_environment_of_workers(joined: Running) -> None:
    assert WORKER_ENVIRONMENT.items() <= joined.seen["worker"].items()


def test_its_processes_listen_on_this_machine_alone(own: Running) -> None:
    assert len(own.addresses) > 3
    assert set(own.addresses) <= LOOPBACK


def test_the_link_to_the_dashboard_leads_there_and_there_is_none_without_a_dashboard(
    own: Running, joined: Running
) -> None:
    assert own.seen["dashboard"] is None
    assert joined.seen["dashboard"].startswith("http://127.0.0.1:")
    assert joined.dashboard_status == 200


def test_a_ray_has_a_short_folder_where_the_one_for_temporary_files_is_too_long_and_leaves_none(own: Running) -> None:
    folder = Path(own.seen["folder"])
    assert LONG_NAME in own.seen["worker"]["TMPDIR"]
    assert LONG_NAME not in str(folder)
    assert folder.parent.name.startswith(PREFIX)
    assert not folder.parent.exists()
    assert list(Path(own.seen["driver"]["TMPDIR"]).iterdir()) == []


def test_a_ray_that_runs_share_serves_all_of_them_and_ends_with_the_last(tmp_path: Path) -> None:
    shared = run(SHARED, tmp_path / "log")
    [raylet] = set(shared.seen["raylets"])
    assert shared.seen["imported"], "its processes have imported nothing ahead"
    assert set(shared.addresses) <= LOOPBACK
    assert shared.errors == ""
    assert not Path(f"/proc/{raylet}").exists()


def test_a_ray_begins_without_a_word(own: Running, joined: Running) -> None:
    assert (own.errors, joined.errors) == ("", "")


def test_who_sees_to_an_orderly_end_at_sigterm_still_does(own: Running) -> None:
    assert own.seen["keeps_on_sigterm"]


def test_a_folder_is_left_alone_that_cannot_be_written_or_is_too_long_itself(tmp_path: Path) -> None:
    long = tmp_path / LONG_NAME
    long.mkdir()
    with pytest.raises(BadInput) as caught:
        short_folder(long / "ray", [tmp_path / "nowhere", long])
    said = str(caught.value)
    assert said.startswith(f"TMPDIR: {long!s:.200} is too long a path for Ray's sockets, and none of ")
    assert said.endswith("set RAY_TMPDIR to a folder with a shorter path")
    assert short_folder(long / "ray", [tmp_path / "nowhere", long, Path("/tmp")]) == Path("/tmp")
