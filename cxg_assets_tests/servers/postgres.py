"""A PostgreSQL server on this machine: Debian's, with a data folder of its own."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from cxg_assets_tests.servers.webserver import free_port, wait_until

INSTALLED = Path("/usr/lib/postgresql")
USER = "dagster"
PASSWORD = "pass/word @ %41"
"""With what a URL must quote."""


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        programs: Folder of its programs.
    """

    port: int
    programs: Path

    def url(self, database: str) -> str:
        """The URL of a database, as Dagster documents it."""
        return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> None:
        """Makes an empty database."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER]
        subprocess.run([self.programs / "createdb", *where, database], env={"PGPASSWORD": PASSWORD}, check=True)


@contextmanager
def serve_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """A server, until the block ends. Without its programs the test fails: nothing is tested then.

    Args:
        durable: Wait for the disk at each commit.
    """
    found = sorted(INSTALLED.glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        pytest.fail(f"there is no PostgreSQL in {INSTALLED}: apt-get install postgresql (see .ci/run)", pytrace=False)
    # PostgreSQL refuses to be root, whose folders no other user may enter.
    who: Mapping[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="cxg-assets-postgres-", dir="/tmp"))
    try:
        (folder / "password").write_text(PASSWORD)
        if who:
            for path in (folder, folder / "password"):
                shutil.chown(path, who["user"], who["group"])
        access = ["-U", USER, "-A", "scram-sha-256", f"--pwfile={folder / 'password'}"]
        made = [found[-1] / "initdb", "-D", folder / "data", "--no-sync", *access]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd=folder, **who)
        server = Postgres(free_port(), found[-1])
        command = ["-D", folder / "data", "-h", "127.0.0.1", "-p", str(server.port), "-k", folder]
        if not durable:
            command.append("-F")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([found[-1] / "postgres", *command], stdout=log, stderr=log, cwd=folder, **who)
        try:
            asked = [found[-1] / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(server.port)]
            wait_until("PostgreSQL answers", lambda: subprocess.run(asked).returncode == 0, 60)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # its fast shutdown
            process.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
