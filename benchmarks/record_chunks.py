"""`python -m benchmarks.record_chunks`: chunks recorded in Dagster's storages and in ours, SQLite and PostgreSQL.

Each storage has a folder or database of its own; the PostgreSQL server is Debian's, on this machine, and waits for the
disk (`fsync`) as a server of a team would. In turn, as many rounds as asked for.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.recorded import made_up, record_reports
from cxg_assets.instance.opening import DAGSTER_YAML, open_instance
from cxg_assets.names import chunk_partitions
from cxg_assets_tests.servers.postgres import Postgres, serve_postgres

SUBSET = "made_up"


def settings(storage: str, server: Postgres, database: str) -> dict[str, Any]:
    """What the `dagster.yaml` of a storage says."""
    if storage == "sqlite, Dagster's":
        return {}
    if storage == "sqlite, ours":
        return yaml.safe_load(DAGSTER_YAML)
    url = server.url(database)
    if storage == "postgresql, Dagster's":
        return {"storage": {"postgres": {"postgres_url": url}}}
    return postgres_settings(url)


def postgres_settings(url: str) -> dict[str, Any]:
    """What the `dagster.yaml` says of our storage in a PostgreSQL database."""
    config = {"postgres_url": url}
    ours = {"module": "cxg_assets.instance.postgres.storage", "class": "ReusingPostgresStorage", "config": config}
    return {"storage": {"custom": ours}, "telemetry": {"enabled": False}, "nux": {"enabled": False}}


STORAGES = ("sqlite, Dagster's", "sqlite, ours", "postgresql, Dagster's", "postgresql, ours")


def main() -> None:
    """Prints a line a storage and round."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.record_chunks", description=__doc__)
    parser.add_argument("--chunks", type=int, default=1_000, help="of one run (default 1,000)")
    parser.add_argument("--rounds", type=int, default=3, help="of each storage (default 3)")
    parser.add_argument("--storages", nargs="+", choices=STORAGES, default=STORAGES)
    options = parser.parse_args()
    reports = [made_up(SUBSET, f"{number:05d}", number) for number in range(options.chunks)]
    with tempfile.TemporaryDirectory() as folder, serve_postgres(durable=True) as server:
        for number in range(options.rounds):
            for storage in options.storages:
                database = f"d{number}_{STORAGES.index(storage)}"
                server.create(database)
                home = Path(folder) / database
                home.mkdir()
                (home / "dagster.yaml").write_text(yaml.safe_dump(settings(storage, server, database)))
                with open_instance(home) as instance:
                    name = chunk_partitions(SUBSET).name
                    assert name is not None
                    instance.add_dynamic_partitions(name, [report.chunk for report in reports])
                    did = record_reports(instance, SUBSET, reports, {})
                print(
                    f"{storage:22} {options.chunks / did.seconds:7.1f} chunks/s, "
                    f"{1_000 * did.cpu_seconds / options.chunks:5.1f} ms of CPU each; "
                    f"run over all created in {did.create_seconds:6.2f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
