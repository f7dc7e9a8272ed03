"""A cluster whose nodes are in different networks, with a slow line between them, other folders and another user.

The run, the head (without CPUs) and S3 are in one room. In the other one nodes come: the first when the run waits for
it, as another user and with an older cxg_assets, to which the run brings its own; the second in the middle, installed
by hand.
"""

import contextlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import cxg_assets
from cxg_assets.ingest.storage.s3 import S3Settings
from cxg_assets.ingest.storage.store import StoreLocator
from cxg_assets_tests.conftest import BLOOD_NORMAL
from cxg_assets_tests.servers import network_rooms
from cxg_assets_tests.servers.network_rooms import Room, two_rooms
from cxg_assets_tests.servers.ray_nodes import TOKENS, ray_node

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(bool(network_rooms.why_not()), reason=network_rooms.why_not() or "there are rooms"),
]

LATENCY_SECONDS = 0.02
BITS_PER_SECOND = 50e6
N_CHUNKS = 36
NOBODY = 65_534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
# Who runs the tests may have Python in a folder that nobody else may read.
AS_NOBODY += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
GCS_PORT, S3_PORT = 6379, 5000

RUN = """
import json, pickle, sys, time
import boto3
import dagster as dg
import ray
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.resources import pool as pool_module
from cxg_assets.resources.ray_cluster import RunRay
from cxg_assets.resources.ray_executor import RayPoolExecutor
from cxg_assets_tests.ingested import job_of, plan_subset

spec, release, index_store, locator = pickle.load(open(sys.argv[1], "rb"))
pool_module.LATECOMER_SECONDS = 0.0
reached = dict(endpoint_url=locator.s3.endpoint_url, region_name=locator.s3.region)
keys = dict(aws_access_key_id=locator.s3.access_key_id, aws_secret_access_key=locator.s3.secret_access_key)
client = boto3.client("s3", **reached, **keys)
client.create_bucket(Bucket="cells")
_, plan = plan_subset(spec, release, index_store.open(), locator)
job = job_of(release.locator({}), locator, plan)
RunRay().connect(dg.build_op_context())
nodes = lambda: sum(node["Alive"] for node in ray.nodes())
print(json.dumps({"launching": nodes()}), flush=True)
input()
try:
    with RayPoolExecutor(ray=RunRay(), workers=2).launch(job, len(plan.chunks), dg.build_op_context()) as pool:
        results = pool.run([Span((chunk,)) for chunk in plan.chunks])
        made = [next(results)]
        print(json.dumps({"first": made[0].chunk}), flush=True)
        input()
        while len(pool._open_workers()) < 2:
            for event in pool._started.wait(1.0):
                made.extend(pool._take(event))
        made += results
        told = {"made": {each.chunk: each.sha256 for each in made}, "workers": len({each.worker for each in made})}
        keys = [each["Key"] for each in client.list_objects_v2(Bucket="cells")["Contents"]]
        told["stored"] = len([key for key in keys if key.endswith(".h5ad")])
        print(json.dumps(told), flush=True)
except BadInput as error:
    print(json.dumps({"refused": str(error)}), flush=True)
"""
"""A run, which says where it is and waits for a line before it goes on."""


@dataclass(frozen=True)
class Cluster:
    """The rooms, with a head in the first."""

    here: Room
    there: Room
    folder: Path

    @contextlib.contextmanager
    def node(self, name: str, before: Sequence[str] = (), **environment: str) -> Iterator[None]:
        """A node of one CPU in the other room, whose files are its own where the cluster's are elsewhere."""
        own = self.folder / name
        for each in (own, own / "ray", own / "home"):
            each.mkdir()
            os.chown(each, NOBODY, NOBODY)
        script = f'mount --bind "{own}/ray" "{self.folder}/ray" && cd "{own}/home" && exec "$@"'
        inside = [*self.there.inside, "sh", "-c", script, "node", *before]
        arguments = [f"--address={self.here.address}:{GCS_PORT}", f"--node-ip-address={self.there.address}"]
        arguments += ["--num-cpus=1", "--object-store-memory=100000000"]
        variables = {"HOME": str(own / "home"), "NUMBA_CACHE_DIR": str(own / "home"), **environment}
        with ray_node(arguments, self.folder / f"{name}.log", before=inside, environment=variables):
            yield

    @contextlib.contextmanager
    def run(self, task: Path, **environment: str) -> Iterator[Callable[..., dict]]:
        """A run in the first room. Yields what reads the next that it says, after it was told to go on."""
        above = str(Path(cxg_assets.__path__[0]).parent)
        variables = {
            **os.environ,
            **TOKENS,
            "PYTHONPATH": above,
            "RAY_ADDRESS": f"{self.here.address}:{GCS_PORT}",
            **environment,
        }
        command = [*self.here.inside, sys.executable, "-c", RUN, str(task)]
        with (
            (self.folder / "run.log").open("w") as errors,
            subprocess.Popen(
                command, env=variables, cwd=self.folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors,
            ) as process,
        ):  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            stdin, stdout = process.stdin, process.stdout

            def said(go: bool = True) -> dict:
                if go:
                    stdin.write("\n")
                    stdin.flush()
                line = stdout.readline()
                assert line, (self.folder / "run.log").read_text()
                return json.loads(line)

            try:
                yield said
            finally:
                process.kill()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with contextlib.ExitStack() as made:
        here, there = made.enter_context(two_rooms(LATENCY_SECONDS, BITS_PER_SECOND))
        folder = Path(made.enter_context(tempfile.TemporaryDirectory(prefix="cxg-rooms-", dir="/tmp")))
        folder.chmod(0o755)
        (folder / "ray").mkdir()
        moto = [sys.executable, "-m", "moto.server", "-H", here.address, "-p", f"{S3_PORT}"]
        with (folder / "s3.log").open("wb") as log:
            s3 = subprocess.Popen([*here.inside, *moto], stdout=log, stderr=log)
        made.callback(s3.wait)
        made.callback(s3.kill)
        head = ["--head", f"--node-ip-address={here.address}", f"--port={GCS_PORT}", "--num-cpus=0"]
        head += [f"--temp-dir={folder}/ray", "--include-dashboard=false", "--object-store-memory=100000000"]
        made.enter_context(ray_node(head, folder / "head.log", before=here.inside))
        yield Cluster(here, there, folder)


def test_nodes_that_come_late_by_a_slow_line_make_the_files_of_a_local_run(
    cluster: Cluster, spec, release, index_store, ingest, tmp_path: Path
) -> None:
    small = spec(value_filter=BLOOD_NORMAL, chunk_size=12, max_obs=12 * N_CHUNKS)
    reached = S3Settings(
        endpoint_url=f"http://{cluster.here.address}:{S3_PORT}", access_key_id="test", secret_access_key="test-secret",
        region="us-east-1",
    )  # fmt: skip
    locator = StoreLocator(url="s3://cells/store", s3=reached)
    task = tmp_path / "task"
    task.write_bytes(pickle.dumps((small, release, StoreLocator(url=index_store.url), locator)))
    old = cluster.folder / "old" / "cxg_assets"
    old.mkdir(parents=True)
    (old / "__init__.py").write_text('__version__ = "0.0.9"\n')
    brought = tmp_path / "runtime_env.yaml"
    brought.write_text(json.dumps({"py_modules": [cxg_assets.__path__[0]]}))

    with contextlib.ExitStack() as nodes:
        with cluster.run(task, CXG_RAY_RUNTIME_ENV=str(brought)) as said:
            assert said(go=False) == {"launching": 1}
            # Nobody is there to work yet.
            nodes.enter_context(cluster.node("b", AS_NOBODY, PYTHONPATH=str(old.parent)))
            assert "first" in said()
            nodes.enter_context(cluster.node("c"))
            told = said()
        alone = ingest(small, (tmp_path / "alone").as_uri())
        assert told["made"] == {report.chunk: report.sha256 for report in alone.reports}
        assert told["stored"] == N_CHUNKS
        assert told["workers"] == 2

        with cluster.run(task) as said:
            assert said(go=False) == {"launching": 3}
            refused = said()["refused"]
    assert refused.startswith(f"node {cluster.there.address} has cxg_assets 0.0.9 (code ")
    assert f" where the run has {cxg_assets.__version__} (code " in refused
    assert "CXG_RAY_RUNTIME_ENV" in refused
