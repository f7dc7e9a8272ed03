"""What a user waits for: from the command to the first chunk stored, and what of that is Ray's.

    python -m benchmarks.first_chunk [--rounds 3] [--census CENSUS] [--n-obs 500]

In turn, each in a new project folder: with a Ray of the run's own, with local processes, and with a Ray cluster of one
node that runs already (started before the clock, on 127.0.0.1, and ended after it). Beside them Ray's own start in a
program that does nothing else (`benchmarks.ray_start`). Prints a table in Markdown: median, and least to greatest.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.__main__ import demo_census, say
from benchmarks.dagster_record import fresh_home, read_record
from benchmarks.machine import describe_machine
from benchmarks.measure import Finished, run_program
from cxg_assets_tests.servers.webserver import free_port, wait_until

SUBSET = "blood_normal"
BIN = Path(sys.executable).parent
COMMAND = BIN / "cxg-assets"
NO_TOKEN = {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": "/tmp", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""For a cluster that keeps to this machine."""

WAYS = ("ray", "local", "cluster")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--n-obs", type=int, default=500, help="cells, in files of half as many")
    parser.add_argument("--census", type=Path, help="default: a demo census of 20,000 cells, built once")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    options = parser.parse_args()
    census = options.census or demo_census(Path("/tmp/cxg-benchmarks"), 20_000)
    machine = describe_machine(20_000, options.rounds)
    told = ("date", "commit", "cpu", "load at the start", "ray")
    print(json.dumps({name: machine[name] for name in told}), flush=True)
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="cxg-first-") as name:
        work = Path(name)
        for _ in range(options.rounds):
            for way in options.ways:
                say(way)
                for what, took in measure(way, work, census, options.n_obs).items():
                    seconds.setdefault(f"{way}: {what}", []).append(took)
            for what, took in ray_alone(work).items():
                seconds.setdefault(f"Ray alone: {what}", []).append(took)
    print("| what | median, s | least to greatest |\n| --- | ---: | --- |")
    for what, took in seconds.items():
        print(f"| {what} | {statistics.median(took):.1f} | {min(took):.1f} to {max(took):.1f} |")


def measure(way: str, work: Path, census: Path, n_obs: int) -> dict[str, float]:
    """One ingest in a new folder."""
    with fresh_home(work) as home, cluster(way == "cluster", work) as address:
        environment = {"CXG_HOME": str(home), "CXG_CENSUS_URI": str(census), "DAGSTER_HOME": str(home / "dagster")}
        environment |= {"CXG_POOL": "local" if way == "local" else "ray", "RAY_ADDRESS": address}
        environment |= NO_TOKEN if address else {}
        arguments = [COMMAND, "ingest", SUBSET, "-n", str(n_obs), "-c", str(n_obs // 2)]
        done: Finished = run_program(arguments, work / "ingest.json", environment=environment, has_result=False)
        record = read_record(home, SUBSET, done.started)
    return {
        "command to first chunk": record.command_to_first_chunk_seconds,
        "launch of the run over chunks to first chunk": record.launch_to_first_chunk_seconds,
        "whole command": done.seconds,
        "CPU of all its processes": done.usage.cpu_seconds,
    }


def ray_alone(work: Path) -> dict[str, float]:
    """What Ray takes in a program that does nothing else."""
    found = run_program(["-m", "benchmarks.ray_start", "--json", work / "ray.json"], work / "ray.json").result
    return {name.replace("_", " ").removesuffix(" seconds"): took for name, took in found.items()}


@contextlib.contextmanager
def cluster(is_wanted: bool, work: Path) -> Iterator[str]:
    """The address of a Ray of one node on this machine, until the block ends; empty where none is wanted."""
    if not is_wanted:
        yield ""
        return
    port, log_file = free_port(), work / "cluster.log"
    ray = [sys.executable, "-m", "cxg_assets_tests.servers.chaos.loopback_ray", "start", "--head", "--block"]
    ray += ["--port", str(port), "--node-ip-address", "127.0.0.1", "--include-dashboard", "false", "--num-cpus", "2"]
    environment = os.environ | NO_TOKEN
    with log_file.open("wb") as log, subprocess.Popen(ray, stdout=log, stderr=log, env=environment) as process:
        try:
            wait_until("Ray is up", lambda: "will now block forever" in log_file.read_text(), 120)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


if __name__ == "__main__":
    main()
