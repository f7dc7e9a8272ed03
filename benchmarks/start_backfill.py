"""`python -m benchmarks.start_backfill`: from the click to the first step of a backfill of many chunks.

The webserver and the daemon are processes of their own, as a deployment has them. Records are in PostgreSQL (Debian's,
on this machine, waiting for the disk at each commit) by `deploy/dagster.yaml`, or in the SQLite files of an instance
that is new. The click comes right after the daemon has looked for backfills, which it does every 30 seconds: no click
waits longer.

A run over the range of all partitions is launched for comparison: it does without the daemon's look.

The backfill is launched by the GraphQL call that the UI sends, and the asset has the partitions and the backfill policy
of chunks. Its step waits until partitions were counted, records the first tenth and fails, and they are counted again.
"""

import argparse
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import yaml
from dagster import DagsterInstance

from cxg_assets.instance.opening import DAGSTER_YAML, open_instance
from cxg_assets.names import chunk_partitions, h5ad_chunks_key
from cxg_assets_tests.servers.postgres import serve_postgres
from cxg_assets_tests.servers.webserver import Webserver, free_port, wait_until

SUBSET = "made_up"
DEPLOYED = Path(__file__).parents[1] / "deploy" / "dagster.yaml"

_DEFINITIONS = """
import time
from pathlib import Path

import dagster as dg
from cxg_assets.names import chunk_partitions, h5ad_chunks_key

@dg.asset(
    key=h5ad_chunks_key({subset!r}),
    partitions_def=chunk_partitions({subset!r}),
    backfill_policy=dg.BackfillPolicy.single_run(),
    output_required=False,
)
def chunks(context: dg.AssetExecutionContext):
    while not Path({counted!r}).exists():
        time.sleep(0.1)
    keys = context.partition_keys
    for key in keys[: len(keys) // 10]:
        context.log_event(dg.AssetMaterialization(context.asset_key, partition=key))
    raise dg.Failure("the rest", allow_retries=False)
    yield

defs = dg.Definitions(assets=[chunks])
"""

_RANGE_RUN = """
mutation ($selector: JobOrPipelineSelector!, $tags: [ExecutionTag!]) {
  launchRun(executionParams: {selector: $selector, runConfigData: "{}", executionMetadata: {tags: $tags}}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}"""

_LOCATIONS = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"

_STATS = """
query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
    partitionStats { numMaterialized numFailed numMaterializing numPartitions } } } }"""


def main() -> None:
    """Prints a line a storage and round."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start_backfill", description=__doc__)
    parser.add_argument("--chunks", type=int, default=10_000, help="of the backfill (default 10,000)")
    parser.add_argument("--rounds", type=int, default=3, help="of each storage (default 3)")
    parser.add_argument("--ways", nargs="+", choices=("backfill", "run"), default=("backfill", "run"))
    parser.add_argument("--storages", nargs="+", choices=("postgresql", "sqlite"), default=("postgresql", "sqlite"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serve_postgres(durable=True) as server:
        for number in range(options.rounds):
            for storage, way in itertools.product(options.storages, options.ways):
                if storage == "postgresql":
                    server.create(f"d{number}_{way}")
                    settings = yaml.safe_load(DEPLOYED.read_text())
                    settings["storage"]["custom"]["config"] = {"postgres_url": server.url(f"d{number}_{way}")}
                    del settings["compute_logs"]  # there is no S3
                else:
                    settings = yaml.safe_load(DAGSTER_YAML)
                home = Path(folder) / f"{storage}-{number}-{way}"
                home.mkdir()
                (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
                print(f"{storage:10} {way:8} {measure(home, options.chunks, way)}", flush=True)


def measure(home: Path, n_chunks: int, way: str) -> str:
    """Launches one backfill, or one run over the range, in the instance of a folder, and says when what happened."""
    (home / "made_up.py").write_text(_DEFINITIONS.format(subset=SUBSET, counted=str(home / "counted")))
    key = h5ad_chunks_key(SUBSET)
    with open_instance(home) as instance, serve(home) as server:
        name = chunk_partitions(SUBSET).name
        assert name is not None
        instance.add_dynamic_partitions(name, [f"{number:05d}" for number in range(n_chunks)])
        clicked = time.time()
        if way == "run":
            launch_range(server, list(key.path), n_chunks)
        else:
            server.launch_backfill(list(key.path))
        answered = time.time()
        [run] = wait_until("a run is there", instance.get_runs, 300)
        started = wait_until("the step has begun", lambda: step_start(instance, run.run_id), 300)
        queried = time.monotonic()
        stats = server.query(_STATS, key={"path": list(key.path)})["assetNodeOrError"]["partitionStats"]
        shown_seconds = time.monotonic() - queried
        (home / "counted").touch()
        if stats["numMaterializing"] != n_chunks or stats["numPartitions"] != n_chunks:
            raise SystemExit(f"while it runs the partitions are wrong: {stats}")
        record = instance.get_run_record_by_id(run.run_id)
        assert record is not None
        launched = launch_of(instance, run.run_id)
        server.wait_for_run(run.run_id)
        stats = server.query(_STATS, key={"path": list(key.path)})["assetNodeOrError"]["partitionStats"]
        if (stats["numMaterialized"], stats["numFailed"]) != (n_chunks // 10, n_chunks - n_chunks // 10):
            raise SystemExit(f"when it has failed the partitions are wrong: {stats}")
    moments = {
        "answer": answered,
        "run created": record.create_timestamp.timestamp(),
        "run launched": launched,
        "run begun": record.start_time or 0.0,
        "step begun": started,
    }
    words = ", ".join(f"{what} {moment - clicked:.1f}" for what, moment in moments.items())
    return f"{n_chunks} chunks, seconds from the click: {words}; partitions counted in {shown_seconds:.1f}"


def launch_range(server: Webserver, asset: list[str], n_chunks: int) -> None:
    """Launches one run over all partitions, which needs no daemon but for the queue."""
    [node] = server.query(_LOCATIONS)["repositoriesOrError"]["nodes"]
    selector = {
        "repositoryName": node["name"],
        "repositoryLocationName": node["location"]["name"],
        "jobName": "__ASSET_JOB",
        "assetSelection": [{"path": asset}],
    }
    ends = {"dagster/asset_partition_range_start": "00000", "dagster/asset_partition_range_end": f"{n_chunks - 1:05d}"}
    tags = [{"key": name, "value": value} for name, value in ends.items()]
    launched = server.query(_RANGE_RUN, selector=selector, tags=tags)["launchRun"]
    if launched["__typename"] != "LaunchRunSuccess":
        raise SystemExit(f"the run is refused: {launched}")


def step_start(instance: DagsterInstance, run_id: str) -> float:
    """When the only step of a run began; 0 if it has not."""
    found = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_START).records
    return found[0].timestamp if found else 0.0


def launch_of(instance: DagsterInstance, run_id: str) -> float:
    """When a run left the queue."""
    return instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.PIPELINE_STARTING).records[0].timestamp


@contextlib.contextmanager
def serve(home: Path) -> Iterator[Webserver]:
    """The webserver and the daemon of an instance, until the block ends."""
    port = free_port()
    webserver = ["dagster_webserver", "-f", "made_up.py", "-h", "127.0.0.1", "-p", str(port)]
    daemon = ["dagster._daemon", "run", "-f", "made_up.py"]
    environment = os.environ | {"DAGSTER_HOME": str(home)}
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for program in (webserver, daemon):
            log = (home / f"{program[0]}.log").open("wb")
            command = [sys.executable, "-m", *program]
            processes.append(subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log))
        server = Webserver(f"http://127.0.0.1:{port}")
        wait_until("the code location loads", server.is_ready, 120)
        with DagsterInstance.from_config(str(home)) as instance:
            wait_until("the daemon lives", lambda: "BACKFILL" in instance.get_daemon_heartbeats(), 120)
        yield server
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


if __name__ == "__main__":
    main()
