"""The Ray that a run starts itself."""

import json
import os
import subprocess
import sys

from cxg_assets.ingest.process import WORKER_ENVIRONMENT

PROGRAM = """
import json, os
import dagster as dg
import ray
from cxg_assets.resources.ray_cluster import RunRay, worker_runtime_env

RunRay().connect(dg.build_op_context())
environment = ray.get(ray.remote(lambda: dict(os.environ)).remote())
print(json.dumps({"runtime_env": worker_runtime_env(), "worker": environment, "driver": dict(os.environ)}))
"""


def test_its_processes_have_the_environment_of_workers_and_the_driver_keeps_its_own() -> None:
    # A process of its own: the tests share one Ray, and Ray is one to a process.
    mine = {name: value for name, value in os.environ.items() if name not in {*WORKER_ENVIRONMENT, "RAY_ADDRESS"}}
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**mine, "OPENBLAS_NUM_THREADS": "2"}, capture_output=True, check=True
    )
    seen = json.loads(finished.stdout)

    assert seen["runtime_env"] == {}
    assert WORKER_ENVIRONMENT.items() - seen["worker"].items() == {("OPENBLAS_NUM_THREADS", "1")}
    assert seen["worker"]["OPENBLAS_NUM_THREADS"] == "2"
    assert seen["driver"].keys() & WORKER_ENVIRONMENT.keys() == {"OPENBLAS_NUM_THREADS"}
