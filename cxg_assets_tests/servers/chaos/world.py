"""One try-out: a census, an empty bucket behind a proxy, a Dagster home, and programs that run in it."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from cxg_assets.instance.opening import DAGSTER_YAML
from cxg_assets.resources import local_worker
from cxg_assets_tests.servers.command import ALL_CELLS, COMMAND, SUBSET
from cxg_assets_tests.servers.faults import FaultyProxy
from cxg_assets_tests.servers.postgres import Postgres
from cxg_assets_tests.servers.process_tree import TreeSampler, end_processes
from cxg_assets_tests.servers.strict_s3 import BUCKET, REGION, Key, StrictS3, serve_strict_s3

WORKER_SILENCE = "90"
"""Seconds: a worker that gets no more memory may hang until the pool replaces it."""

PREFIX = "datasets"

WORKERS = 2

Pool = Literal["ray", "local"]

LOOK_SECONDS = 0.1

WAIT_SECONDS = 600.0
"""Most of what is waited for takes seconds; a worker that hangs is replaced after 300."""


class ChaosError(Exception):
    """A try-out did not go as it must."""


@dataclass
class Program:
    """A program and all that it starts."""

    process: subprocess.Popen[bytes]
    log: Path
    sampler: TreeSampler

    def wait(self) -> int:
        """Waits for its end. Returns its exit code."""
        wait_until(f"{self.log.stem} ends", lambda: self.process.poll() is not None)
        return self.process.returncode

    def expect(self, exit_code: int) -> None:
        """Waits for its end, which must be of a kind.

        Raises:
            ChaosError: It was another.
        """
        if self.wait() != exit_code:
            code = self.process.returncode
            raise ChaosError(f"{self.log.stem} ended with {code} instead of {exit_code}: {self.said}")

    @property
    def said(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace").replace("\r", "\n").strip()[-1_500:]

    def kill(self) -> None:
        """SIGKILL, to the program itself alone."""
        self.process.kill()
        self.process.wait(WAIT_SECONDS)

    def stop(self) -> None:
        """SIGINT, as Ctrl-C sends it, and waits for the end."""
        self.process.send_signal(signal.SIGINT)
        self.wait()

    def workers(self) -> list[int]:
        """Process ids of its workers that live, oldest first: Ray's actors or processes of this machine."""
        return sorted((pid for pid in self.sampler.living() if _is_worker(_title(pid))), key=_began)

    def find(self, text: str) -> int:
        """Process id of the one that it has started with this in its program's path."""
        [found] = [pid for pid in self.sampler.living() if text in _title(pid).split(" ", 1)[0]]
        return found


@dataclass
class World:
    """Everything of one try-out. Close it through `new_world`.

    Attributes:
        census: Folder of the Census.
        folder: For homes, logs and temporary files.
        server: The bucket's server.
        proxy: What programs reach it through.
        chunk_size: Cells of a chunk.
        random: Decides when something happens.
        pool: What runs the workers of programs.
        postgres: Where each Dagster home gets a database of its own; None is SQLite files in it.
        programs: All that were started.
    """

    census: Path
    folder: Path
    server: StrictS3
    proxy: FaultyProxy
    chunk_size: int
    random: random.Random
    pool: Pool
    postgres: Postgres | None = None
    programs: list[Program] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """`CXG_HOME` of programs, if they are given no other."""
        return self.folder / "home"

    @property
    def scratch(self) -> Path:
        """`TMPDIR` of programs."""
        return self.folder / "scratch"

    @property
    def destination(self) -> str:
        """URL of the store."""
        return f"s3://{BUCKET}/{PREFIX}"

    def environment(self, **changes: str) -> dict[str, str]:
        """Variables of a program: none of this process's that tell of S3 or of another Dagster or Ray."""
        ours = ("AWS_", "CXG_", "DAGSTER_", "RAY_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        key = Key()
        return kept | {
            "CXG_CENSUS_URI": str(self.census),
            "CXG_STORE_URL": self.destination,
            "CXG_POOL": self.pool,
            "CXG_WORKER_SILENCE": WORKER_SILENCE,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.proxy.port}",
            "AWS_ACCESS_KEY_ID": key.id,
            "AWS_SECRET_ACCESS_KEY": key.secret,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CXG_HOME": str(self.home),
            "DAGSTER_HOME": str(self.home / "dagster"),
            "TMPDIR": str(self.scratch),
            "RAY_TMPDIR": "/tmp",  # Ray's sockets have names of at most 107 bytes
            **changes,
        }

    def ingest(self, *arguments: str, name: str = "ingest", **environment: str) -> Program:
        """Begins to make the dataset of all cells."""
        command = [
            str(COMMAND), "ingest", SUBSET, "--value-filter", ALL_CELLS, "-c", str(self.chunk_size),
            "-d", str(WORKERS), *arguments,
        ]  # fmt: skip
        return self.start(name, command, **environment)

    def start(self, name: str, command: Sequence[str], **environment: str) -> Program:
        """Starts a program; its log has its name and number."""
        log = self.folder / f"{name}-{len(self.programs)}.log"
        variables = self.environment(**environment)
        if self.postgres is not None:
            self._keep_records_in(self.postgres, Path(variables["DAGSTER_HOME"]))
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command, stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env=variables, cwd=self.folder,
                # A shell that works in the background hands down an ignored SIGINT.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
            )  # fmt: skip
        program = Program(process, log, TreeSampler(process.pid, sizes=False).start())
        self.programs.append(program)
        return program

    def _keep_records_in(self, postgres: Postgres, dagster_home: Path) -> None:
        """Says that the records of a Dagster home are in PostgreSQL, unless that was said before."""
        config = dagster_home / "dagster.yaml"
        if config.exists():
            return
        database = f"{self.folder.name}_{dagster_home.parent.name}"
        postgres.create(database)
        storage = {
            "module": "cxg_assets.instance.postgres.storage",
            "class": "ReusingPostgresStorage",
            "config": {"postgres_url": postgres.url(database)},
        }
        others = {name: value for name, value in yaml.safe_load(DAGSTER_YAML).items() if not name.endswith("_storage")}
        dagster_home.mkdir(parents=True)
        config.write_text(yaml.safe_dump({**others, "storage": {"custom": storage}}))

    def hold_line(self, n_passing: int = 0, path: str = ".h5ad") -> None:
        """Workers stand still from now on: the chunks that they store next are stored, and nobody tells them so.

        Until `free_line` there is time to break something, however busy the machine is.

        Args:
            n_passing: So many chunks are stored before as fast as it goes.
            path: Only chunks with this in their path.
        """
        self.proxy.hold(n_passing, path)

    def free_line(self) -> None:
        """Workers go on."""
        self.proxy.let_all_pass()

    def store_more(self, n_chunks: int, program: Program) -> None:
        """Lets one chunk after the other be stored while the line is held, until so many more are."""
        wanted = self.puts().total() + n_chunks

        def stored() -> bool:
            if self._has_stored(wanted, program):
                return True
            self.proxy.let_one_pass()  # as often as it takes: some answer a repetition
            return False

        wait_until(f"{n_chunks} more chunks stored", stored)

    def puts(self) -> Counter[str]:
        """How often each chunk was stored, by path in the store."""
        return Counter(
            asked.path.partition(f"/{PREFIX}/")[2]
            for asked in self.server.requests("PUT")
            if f"/{PREFIX}/" in asked.path and asked.path.endswith(".h5ad") and asked.status == 200
        )

    def wait_stored(self, n_chunks: int, program: Program | None = None) -> None:
        """Waits until so many chunks were stored, while a program runs."""
        wait_until(f"{n_chunks} chunks stored", lambda: self._has_stored(n_chunks, program))

    def _has_stored(self, n_chunks: int, program: Program | None) -> bool:
        if program is not None and program.process.poll() is not None:
            raise ChaosError(f"{program.log.stem} ended before {n_chunks} chunks were stored: {program.said}")
        return self.puts().total() >= n_chunks


@contextlib.contextmanager
def new_world(
    census: Path, folder: Path, chunk_size: int, seed: int, pool: Pool = "ray", postgres: Postgres | None = None
) -> Iterator[World]:
    """A world of its own; whatever still runs in it ends with the block.

    Args:
        census: Folder of the Census.
        folder: Does not exist yet, or is empty.
        chunk_size: Cells of a chunk.
        seed: Of the random numbers that decide when something happens.
        pool: What runs the workers of programs.
        postgres: As in `World`.
    """
    for name in ("server", "home", "scratch"):
        (folder / name).mkdir(parents=True)
    with serve_strict_s3(folder / "server") as server, FaultyProxy(_port(server.endpoint)) as proxy:
        world = World(census, folder, server, proxy, chunk_size, random.Random(seed), pool, postgres)
        try:
            yield world
        finally:
            for program in world.programs:
                end_processes(program.sampler.living)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    program.process.wait(10)
                program.sampler.stop()


def wait_until(what: str, found: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """Asks until there is an answer that counts, and returns it.

    Raises:
        ChaosError: There was none.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := found():
            return answer
        time.sleep(LOOK_SECONDS)
    raise ChaosError(f"{what}: not within {seconds:.0f} s")


def _port(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])


def _is_worker(title: str) -> bool:
    return title.startswith("ray::Worker") or f"-m {local_worker.__name__} " in title


def _began(pid: int) -> int:
    """When a process began, in ticks since the machine did; process ids begin anew at some number."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return 0


def _title(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""
