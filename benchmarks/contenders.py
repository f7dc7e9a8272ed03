"""Each contender as one call: runs its program on a selection, from a source to a fresh destination."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import TIMEOUT_SECONDS, Finished, Measurement, run_program
from benchmarks.stores import Route, difference
from cxg_assets.ingest.chunks.worker_environment import WORKER_ENVIRONMENT
from cxg_assets_tests.servers.command import ALL_CELLS, COMMAND, SUBSET


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """Which cells and genes, said in the ways that contenders understand.

    Attributes:
        joinids: (n_obs,) int64, ascending: what peers and ceiling are given.
        value_filter: The same for our command, together with max_obs.
        max_obs: See value_filter.
        feature_ids: Keep these genes only; empty for all.
        gene_joinids: The same for the ceiling.
    """

    joinids: np.ndarray
    value_filter: str = ALL_CELLS
    max_obs: int | None = None
    feature_ids: tuple[str, ...] = ()
    gene_joinids: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A module of `benchmarks.peers`."""

    module: str
    chunk_size: int
    workers: int = 1
    compression: str | None = None

    def run(self, work: Path, selection: Selection, route: Route) -> Measurement:
        """Runs it once."""
        np.save(work / "joinids.npy", selection.joinids)
        arguments: list[str | Path] = [
            "-m", f"benchmarks.peers.{self.module}", "--census-uri", route.source.uri,
            "--tiledb-config", json.dumps(route.tiledb_config), "--joinids", work / "joinids.npy",
            "--chunk-size", str(self.chunk_size), "--workers", str(self.workers),
            "--destination", route.destination.uri, "--genes", ",".join(selection.feature_ids),
        ]  # fmt: skip
        if self.compression is not None:
            arguments += ["--compression", self.compression]
        return _run(arguments, work, route)


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """`X.read` of the same cells, in one of its ways."""

    processes: int
    threads: int
    block: int
    buffer_mib: int
    keep_memory: bool = False
    """With the settings for memory that our workers have, instead of those of TileDB and the C library."""

    def run(self, work: Path, selection: Selection, route: Route) -> Measurement:
        """Runs it once."""
        np.save(work / "joinids.npy", selection.joinids)
        arguments: list[str | Path] = [
            "-m", "benchmarks.ceiling", "--census-uri", route.source.uri,
            "--tiledb-config", json.dumps(route.tiledb_config), "--joinids", work / "joinids.npy",
            "--processes", str(self.processes), "--threads", str(self.threads), "--block", str(self.block),
            "--buffer-mib", str(self.buffer_mib),
        ]  # fmt: skip
        if selection.gene_joinids is not None:
            np.save(work / "genes.npy", selection.gene_joinids)
            arguments += ["--gene-joinids", work / "genes.npy"]
        if self.keep_memory:
            arguments += ["--keep-memory"]
        return _run(arguments, work, route, environment=WORKER_ENVIRONMENT if self.keep_memory else None)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Our workers without Dagster and Ray."""

    chunk_size: int
    workers: int = 2
    n_chunks: int | None = None
    """Whole spans with so many chunks at least, instead of all."""

    def run(self, work: Path, selection: Selection, route: Route) -> Measurement:
        """Runs it once."""
        arguments: list[str | Path] = [
            "-m", "benchmarks.engine", "--census-uri", route.source.uri,
            "--tiledb-config", json.dumps(route.tiledb_config), "--value-filter", selection.value_filter,
            "--chunk-size", str(self.chunk_size), "--workers", str(self.workers),
            "--destination", route.destination.url, "--genes", ",".join(selection.feature_ids),
        ]  # fmt: skip
        if selection.max_obs is not None:
            arguments += ["--max-obs", str(selection.max_obs)]
        if self.n_chunks is not None:
            arguments += ["--n-chunks", str(self.n_chunks)]
        return _run(arguments, work, route)


@dataclass(frozen=True, kw_only=True)
class Ours:
    """The command, with every chunk recorded in a fresh Dagster instance."""

    chunk_size: int
    workers: int | None = 2
    timeout_seconds: float = TIMEOUT_SECONDS
    extra_arguments: tuple[str, ...] = field(default=())

    def run(self, work: Path, selection: Selection, route: Route) -> Measurement:
        """Runs it once."""
        # Imported here: Dagster takes seconds, and only this contender has it.
        from benchmarks.dagster_record import fresh_home, read_record

        with fresh_home(work) as home:
            arguments: list[str | Path] = [
                COMMAND, "ingest", SUBSET, "--value-filter", selection.value_filter, "-c", str(self.chunk_size),
                "--census-uri", route.source.uri, "--destination", route.destination.url, *self.extra_arguments,
            ]  # fmt: skip
            if self.workers is not None:
                arguments += ["-d", str(self.workers)]
            if selection.max_obs is not None:
                arguments += ["-n", str(selection.max_obs)]
            if selection.feature_ids:
                arguments += ["--gene-filter", ",".join(selection.feature_ids)]
            environment = {"CXG_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
            return _run(
                arguments,
                work,
                route,
                environment=environment,
                timeout_seconds=self.timeout_seconds,
                more=lambda finished: read_record(home, SUBSET, finished.started).as_extra(),
            )


Contender = Peer | Ceiling | Engine | Ours


def _run(
    arguments: list[str | Path],
    work: Path,
    route: Route,
    *,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    more: Any = None,
) -> Measurement:
    before = route.counts()
    finished: Finished = run_program(
        [*arguments, "--json", work / "result.json"],
        work / "result.json",
        environment={**route.environment, **(environment or {})},
        timeout_seconds=timeout_seconds,
    )
    result = dict(finished.result)
    requests = difference(before, route.counts())
    seconds = result.pop("seconds", None) or result.pop("ingest_seconds")
    extra = {"program_seconds": finished.seconds, **(more(finished) if more else {})}
    return Measurement(
        n_obs=result.pop("n_obs"),
        n_files=result.pop("n_files"),
        seconds=seconds,
        total_bytes=result.pop("total_bytes"),
        usage=finished.usage,
        requests=requests,
        extra={**result, **extra},
    )
