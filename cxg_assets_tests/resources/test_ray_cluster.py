"""The Ray that a run starts itself, and one that it joins."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cxg_assets.ingest.process import WORKER_ENVIRONMENT

PROGRAM = """
import json, os
import dagster as dg
import ray
from cxg_assets.resources.ray_cluster import RunRay, dashboard_url, worker_runtime_env

dashboard = dashboard_url(RunRay().connect(dg.build_op_context()))
worker = ray.get(ray.remote(lambda: dict(os.environ)).remote())
seen = {"runtime_env": worker_runtime_env(), "worker": worker, "driver": dict(os.environ), "dashboard": dashboard}
print(json.dumps(seen))
"""

JOINING = """
import json, os
import dagster as dg
import ray
from cxg_assets.resources.ray_cluster import start_own_ray, worker_runtime_env

start_own_ray({"resources": {}})  # as somebody else starts one
actor = ray.remote(lambda: dict(os.environ)).options(runtime_env=worker_runtime_env())
print(json.dumps({"worker": ray.get(actor.remote())}))
"""

LISTENING = """
import dagster as dg
import ray
from cxg_assets.resources.ray_cluster import RunRay

RunRay().connect(dg.build_op_context())
ray.get(ray.remote(lambda: None).remote())
print("up", flush=True)
input()
"""

DASHBOARD = """
import json, urllib.request
from cxg_assets.resources.ray_cluster import dashboard_url, start_own_ray

url = dashboard_url(start_own_ray({"include_dashboard": True, "dashboard_host": "127.0.0.1"}))
with urllib.request.urlopen(url) as page:
    print(json.dumps({"url": url, "status": page.status}))
"""

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1 as the kernel writes it, also within IPv6, and ::1."""


def run(program: str, **environment: str) -> Any:
    """What a program prints, as JSON. A process of its own: the tests share one Ray, and Ray is one to a process."""
    mine = {name: value for name, value in os.environ.items() if name not in {*WORKER_ENVIRONMENT, "RAY_ADDRESS"}}
    finished = subprocess.run(
        [sys.executable, "-c", program], env={**mine, **environment}, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_its_processes_have_the_environment_of_workers_the_driver_keeps_its_own_and_there_is_no_dashboard() -> None:
    seen = run(PROGRAM, OPENBLAS_NUM_THREADS="2")

    assert seen["runtime_env"] == {}
    assert WORKER_ENVIRONMENT.items() - seen["worker"].items() == {("OPENBLAS_NUM_THREADS", "1")}
    assert seen["worker"]["OPENBLAS_NUM_THREADS"] == "2"
    assert seen["driver"].keys() & WORKER_ENVIRONMENT.keys() == {"OPENBLAS_NUM_THREADS"}
    assert seen["dashboard"] is None


def test_the_actors_of_a_ray_that_was_joined_get_the_environment_of_workers() -> None:
    seen = run(JOINING)

    assert WORKER_ENVIRONMENT.items() <= seen["worker"].items()


def test_its_processes_listen_on_this_machine_alone() -> None:
    mine = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with subprocess.Popen(
        [sys.executable, "-c", LISTENING], env=mine, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
        addresses = listening_addresses(with_children(program.pid))
        program.communicate("\n")

    assert len(addresses) > 3
    assert set(addresses) <= LOOPBACK


def with_children(pid: int) -> set[int]:
    """A process and all that it has started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def listening_addresses(pids: set[int]) -> list[str]:
    """Addresses of the TCP sockets on which some processes listen, as the kernel writes them."""
    sockets = set()
    for pid in pids:
        for file in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                sockets.add(os.readlink(file))
    tables = [Path("/proc/net", name).read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table]
    return [line[1].partition(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets]


def test_the_link_to_the_dashboard_leads_there() -> None:
    seen = run(DASHBOARD)

    assert seen["url"].startswith("http://127.0.0.1:")
    assert seen["status"] == 200
