"""10,000 chunk partitions in the Dagster UI: what writing them, asking for them and looking at them takes.

Run it from the repository's root, in an environment with `pip install -e ".[test]"`:

    python -m benchmarks.scale [--n-chunks 10000] [--rounds 5] [--chromium /usr/bin/chromium]

The partitions are those of `blood_normal`, on a Dagster instance as the command makes it, and their materializations
are recorded as a run records them, from reports that are made up. With `--chromium` (and `pip install playwright`) the
pages are loaded in that browser too. Prints a table in Markdown.

    python -m benchmarks.scale --n-obs 6310000 63100000 --database postgres

does all but the chunks at the size of the Census, on that database: index, filter, checks, plan, partitions, spans,
the record of every chunk, publishing, a backfill of all, the pages' queries, a new plan, and pruning of the old one.
Each step is a process of its own. The censuses are built once (`--cache`, 3 GB and some minutes for 63.1 million rows);
a run takes as much disk again.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from dagster import DagsterInstance

from benchmarks.__main__ import demo_census, say
from benchmarks.front_half import EVERY_CELL, HEADINGS, N_DEMO_OBS, in_lines, measure
from benchmarks.front_steps import STEPS
from benchmarks.machine import describe_machine
from benchmarks.obs_only_census import kept
from benchmarks.record_chunks import postgres_settings
from benchmarks.recorded import made_up, record_reports
from cxg_assets.instance.provenance import IS_USER_PROVIDED_TAG
from cxg_assets.names import chunk_partitions, h5ad_chunks_key
from cxg_assets_tests.servers.postgres import serve_postgres
from cxg_assets_tests.servers.webserver import Webserver, free_port, serve, wait_until

BEFORE_UI = ("index", "filter", "check-subset", "plan", "check-plan", "spans", "register", "record", "publish")
SUBSET = "blood_normal"
KEY = h5ad_chunks_key(SUBSET)
SECONDS = 600

STATUS = """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionStats { numMaterialized numFailed numMaterializing numPartitions }
  assetPartitionStatuses { ... on DefaultPartitionStatuses {
    materializedPartitions failedPartitions unmaterializedPartitions materializingPartitions } } } } }"""

LATEST = """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  assetMaterializations(limit: 200) { partition timestamp metadataEntries { label
    ... on IntMetadataEntry { intValue } ... on FloatMetadataEntry { floatValue } } } } } }"""

LOGS = """query ($id: ID!) { logsForRun(runId: $id, limit: 1000) { ... on EventConnection {
  cursor hasMore events { __typename ... on MessageEvent { message timestamp } } } } }"""

BACKFILL = """query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
  status runs { id status } } } }"""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-chunks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chromium", default="")
    parser.add_argument("--n-obs", type=int, nargs="+", default=[], help="rows of obs of a census, one size or several")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/cxg-benchmarks"), help="folder of the censuses, kept")
    options = parser.parse_args()
    if options.n_obs:
        measure_census(options.n_obs, options.database, options.cache, options.rounds)
        return
    rows: list[tuple[str, list[float], str]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"CXG_HOME": folder, "DAGSTER_HOME": f"{folder}/dagster"}
        # After the two are set: what the command's instance is.
        from cxg_assets.cli.project import dagster_instance

        keys = [f"{number:05d}" for number in range(options.n_chunks)]
        with dagster_instance() as instance:
            run_id = record_all(instance, keys, rows)
        with served(folder) as server:
            ask(server, run_id, options.rounds, rows)
            if options.chromium:
                look(server, run_id, options, rows)
            launch(server, rows)
    machine = describe_machine(0, options.rounds)
    print(json.dumps({name: machine[name] for name in ("date", "commit", "cpu", "load at the start", "dagster")}))
    print("| what | median | least to most | |\n| --- | --- | --- | --- |")
    for what, seconds, note in rows:
        print(f"| {what} | {statistics.median(seconds):.2f} s | {min(seconds):.2f} to {max(seconds):.2f} | {note} |")


def measure_census(sizes: list[int], database: str, cache: Path, rounds: int) -> None:
    """Measures all steps on censuses of these sizes, and prints."""
    demo = demo_census(cache, N_DEMO_OBS)
    machine = describe_machine(N_DEMO_OBS, 1)
    told = {name: machine[name] for name in ("date", "commit", "cpu", "load at the start", "dagster")}
    print(json.dumps({**told, "database": database}), flush=True)
    print(HEADINGS, flush=True)
    for n_obs in sizes:
        census = kept(demo, n_obs, say)
        with tempfile.TemporaryDirectory(prefix="scale-", dir=cache) as name, database_of(Path(name), database):
            folder = Path(name)
            finished = measure(census, folder, n_obs, EVERY_CELL, BEFORE_UI)
            print("\n".join(in_lines(n_obs, finished)), flush=True)
            rows: list[tuple[str, list[float], str]] = []
            with served(str(folder / "home")) as server:
                ask(server, finished["record"].result["run_id"], rounds, rows)
                launch(server, rows)
            for what, seconds, note in rows:
                print(f"| {n_obs:,} | {what} | {statistics.median(seconds):.2f} | | | | {note} |", flush=True)
            finished = measure(census, folder, n_obs, EVERY_CELL, (step for step in STEPS if step not in BEFORE_UI))
            print("\n".join(in_lines(n_obs, finished)), flush=True)


@contextmanager
def database_of(folder: Path, database: str) -> Iterator[None]:
    """The Dagster instance of a folder has that database, until the block ends."""
    home = folder / "home" / "dagster"
    home.mkdir(parents=True)
    if database == "sqlite":  # as the command makes it
        yield
        return
    with serve_postgres(durable=True) as server:
        server.create("scale")
        (home / "dagster.yaml").write_text(yaml.safe_dump(postgres_settings(server.url("scale"))))
        yield


def record_all(instance: DagsterInstance, keys: list[str], rows: list[tuple[str, list[float], str]]) -> str:
    """Registers the partitions and records each as stored, in one run over all of them. Returns the run's id."""
    began = time.monotonic()
    instance.add_dynamic_partitions(chunk_partitions(SUBSET).name or "", keys)
    rows.append(("register the partitions", [time.monotonic() - began], ""))
    reports = [made_up(SUBSET, key, number) for number, key in enumerate(keys)]
    recorded = record_reports(instance, SUBSET, reports, {IS_USER_PROVIDED_TAG: "true"})
    note = f"{recorded.create_cpu_seconds:.2f} s of CPU"
    rows.append(("create a run over all", [recorded.create_seconds], note))
    each = 1000 * recorded.cpu_seconds / len(keys)
    note = f"{len(keys) / recorded.seconds:.0f} chunks/s; {each:.1f} ms of CPU each"
    rows.append(("record all as stored", [recorded.seconds], note))
    return recorded.run_id


@contextmanager
def served(folder: str) -> Iterator[Webserver]:
    """The project's UI on the instance in a folder; nothing of it reads a Census."""
    port = free_port()
    where = ["-m", "cxg_assets.definitions", "-h", "127.0.0.1", "-p", str(port)]
    with serve([sys.executable, "-m", "dagster", "dev", *where], Path(folder), census_uri=folder, port=port) as ui:
        yield ui.server


def timed(rounds: int, work: Callable[[], object]) -> list[float]:
    """Seconds of each round."""
    seconds: list[float] = []
    for _ in range(rounds):
        began = time.monotonic()
        work()
        seconds.append(time.monotonic() - began)
    return seconds


def ask(server: Webserver, run_id: str, rounds: int, rows: list[tuple[str, list[float], str]]) -> None:
    """The queries behind the pages."""
    key = {"path": KEY.path}
    stats = server.query(STATUS, key=key)["assetNodeOrError"]["partitionStats"]
    note = f"{stats['numMaterialized']:,} materialized of {stats['numPartitions']:,}"
    rows.append(("GraphQL: status of all partitions", timed(rounds, lambda: server.query(STATUS, key=key)), note))
    rows.append(("GraphQL: 200 latest with metadata", timed(rounds, lambda: server.query(LATEST, key=key)), ""))
    rows.append(("GraphQL: 1,000 events of the run", timed(rounds, lambda: server.query(LOGS, id=run_id)), ""))


def look(server: Webserver, run_id: str, options: argparse.Namespace, rows: list[tuple[str, list[float], str]]) -> None:
    """The pages, from the click to the text that tells that they are there."""
    from playwright.sync_api import sync_playwright

    asset = f"{server.url}/assets/{'/'.join(KEY.path)}"
    pages = {
        "asset page": (f"{asset}?view=overview", "Latest materialization"),
        "partitions page": (f"{asset}?view=partitions", "Materialized ("),
        "run page": (f"{server.url}/runs/{run_id}", "ASSET_MATERIALIZATION"),
    }
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=flags)
        for name, (url, text) in pages.items():
            seconds: list[float] = []
            for _ in range(options.rounds):
                page = browser.new_page()
                began = time.monotonic()
                page.goto(url)
                page.get_by_text(text).first.wait_for(timeout=1000 * SECONDS)
                seconds.append(time.monotonic() - began)
                page.close()
            rows.append((f"browser: {name}", seconds, f"until {text!r} is there"))
        browser.close()


def launch(server: Webserver, rows: list[tuple[str, list[float], str]]) -> None:
    """A backfill of all partitions: from the click until its run exists."""
    began = time.monotonic()
    backfill = server.launch_backfill(list(KEY.path))

    def runs() -> list[dict[str, str]]:
        return server.query(BACKFILL, id=backfill)["partitionBackfillOrError"]["runs"]

    wait_until("the backfill's run is there", runs, SECONDS)
    seconds = time.monotonic() - began
    # It fails at once, since there is no plan; the backfill ends when it has asked for all its runs.
    server.wait_for_backfill(backfill, SECONDS)
    rows.append(("launch a backfill of all, until it has its run", [seconds], f"{len(runs())} run"))


if __name__ == "__main__":
    main()
