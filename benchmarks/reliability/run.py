"""One run of the command between two proxies, and what it left behind."""

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
from dagster import DagsterInstance

from benchmarks.dagster_record import fresh_home
from benchmarks.measure import TIMEOUT_SECONDS
from benchmarks.reliability.scenarios import Scenario
from benchmarks.stores import Place
from cxg_assets.names import h5ad_chunks_key
from cxg_assets_tests.servers.command import ALL_CELLS, COMMAND, SUBSET
from cxg_assets_tests.servers.faults import FaultyProxy
from cxg_assets_tests.servers.process_tree import TreeSampler, end_processes
from cxg_assets_tests.servers.strict_s3 import BUCKET, REGION, Key, StrictS3, serve_strict_s3

PREFIX = "datasets"

N_LANDING = 4
"""A side goes away when so many chunks have been sent."""

LOOK_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run did.

    Attributes:
        seconds: From the start of the command to its end.
        exit_code: Of the command.
        said: The end of what it printed.
        summary: What it wrote about itself; empty when it ended before that.
        n_requests: By side.
        injected: Faults by name and side.
        read_retries: Of all chunks on record.
        upload_retries: Of all chunks on record.
        digests: SHA-256 of each object in the bucket, by key.
        n_unfinished: Uploads in parts that were not ended.
    """

    seconds: float
    exit_code: int
    said: str
    summary: Mapping[str, Any]
    n_requests: Mapping[str, int]
    injected: Mapping[str, int]
    read_retries: int
    upload_retries: int
    digests: Mapping[str, str] = field(repr=False)
    n_unfinished: int

    @property
    def chunks(self) -> dict[str, str]:
        """Digests of the chunks."""
        return {key: digest for key, digest in self.digests.items() if key.endswith(".h5ad")}


def run_scenario(scenario: Scenario, source: Place, work: Path, *, chunk_size: int, workers: int) -> Outcome:
    """Runs the command once, with a destination of its own.

    Args:
        scenario: What goes wrong.
        source: The Census, on a server without faults.
        work: For logs; one folder may serve many runs.
        chunk_size: Cells of a chunk.
        workers: Ray actors.

    Raises:
        RuntimeError: It did not end in half an hour.
    """
    folder = work / scenario.name
    folder.mkdir()
    with (
        fresh_home(work) as home,
        serve_strict_s3(folder) as server,
        FaultyProxy(source.port) as read,
        FaultyProxy(int(server.endpoint.rpartition(":")[2])) as written,
    ):
        read.set(scenario.source)
        written.set(scenario.destination)
        result_file, log_file = folder / "result.json", folder / "command.log"
        arguments: list[str | Path] = [
            COMMAND, "ingest", SUBSET, "--value-filter", ALL_CELLS, "-c", str(chunk_size), "-d", str(workers),
            "--json", result_file,
        ]  # fmt: skip
        environment = _environment(source, read, written, home)
        began = time.monotonic()
        exit_code = _run(arguments, environment, log_file, scenario, {"source": read, "destination": written})
        seconds = time.monotonic() - began
        reads, uploads = _retries(home)
        digests, n_unfinished = _look_at(server)
        return Outcome(
            seconds=seconds,
            exit_code=exit_code,
            said=log_file.read_text(errors="replace").strip()[-2_000:],
            summary=json.loads(result_file.read_text()) if result_file.exists() else {},
            n_requests={"source": read.requests().total(), "destination": written.requests().total()},
            injected={
                f"{fault} ({side})": n
                for side, proxy in (("source", read), ("destination", written))
                for fault, n in sorted(proxy.injected().items())
            },
            read_retries=reads,
            upload_retries=uploads,
            digests=digests,
            n_unfinished=n_unfinished,
        )


def _environment(source: Place, read: FaultyProxy, written: FaultyProxy, home: Path) -> dict[str, str]:
    """The command's variables: none of this process's that tell of S3."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CXG_"))}
    key = Key()
    return kept | {
        "CXG_CENSUS_URI": source.uri,
        "CXG_CENSUS_ENDPOINT_URL": f"http://127.0.0.1:{read.port}",
        "CXG_STORE_URL": f"s3://{BUCKET}/{PREFIX}",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{written.port}",
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CXG_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
    }


def _run(
    arguments: list[str | Path],
    environment: dict[str, str],
    log_file: Path,
    scenario: Scenario,
    proxies: Mapping[str, FaultyProxy],
) -> int:
    """Runs the command to its end, and takes a side away meanwhile. Returns its exit code."""
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            arguments, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment
        )
        sampler = TreeSampler(process.pid).start()
        try:
            is_away = scenario.away is None
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while process.poll() is None:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{scenario.name} did not end in {TIMEOUT_SECONDS} s; see {log_file}")
                if not is_away and scenario.away is not None and _n_sent(proxies["destination"]) >= N_LANDING:
                    proxies[scenario.away].begin_outage(scenario.away_seconds)
                    is_away = True
                time.sleep(LOOK_SECONDS)
        finally:
            end_processes(sampler.living)
            process.wait(10)
            sampler.stop()
    return process.returncode


def _n_sent(destination: FaultyProxy) -> int:
    return sum(
        exchange.method == "PUT" and ".h5ad" in exchange.target and not exchange.fault
        for exchange in destination.exchanges()
    )


def _retries(home: Path) -> tuple[int, int]:
    """Retries of reads and of uploads that the chunks on record tell of."""
    totals = {"read_retries": 0, "upload_retries": 0}
    with DagsterInstance.from_config(str(home / "dagster")) as instance:
        cursor: str | None = None
        while True:
            page = instance.fetch_materializations(h5ad_chunks_key(SUBSET), limit=1_000, cursor=cursor)
            for record in page.records:
                metadata: Mapping[str, dg.MetadataValue] = (
                    record.asset_materialization.metadata if record.asset_materialization else {}
                )
                for name in totals:
                    totals[name] += int(metadata[name].value)  # type: ignore[arg-type]
            if not page.has_more:
                return totals["read_retries"], totals["upload_retries"]
            cursor = page.cursor


def _look_at(server: StrictS3) -> tuple[dict[str, str], int]:
    """Digests of all objects, and how many uploads in parts were left; past the proxy, with another client."""
    key = Key()
    session = boto3.Session(key.id, key.secret, region_name=REGION)
    client: Any = session.client("s3", endpoint_url=f"http://{server.endpoint}")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    digests = {
        key: hashlib.sha256(client.get_object(Bucket=BUCKET, Key=key)["Body"].read()).hexdigest() for key in keys
    }
    return digests, len(client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []))
