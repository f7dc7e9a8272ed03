"""Runs one program and measures it: every contender of a row is a program of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cxg_assets_tests.servers.process_tree import TreeSampler, TreeUsage, end_processes

TIMEOUT_SECONDS = 1_800
"""A program that takes longer is ended, and the row fails."""


class BenchmarkError(Exception):
    """A program failed or took too long; the message has the end of what it said."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One run of one contender.

    Attributes:
        n_obs: Cells that were made.
        n_files: Files that were made; 0 when none is (the ceiling).
        seconds: Of the phase that is compared: first chunk dispatched to last chunk stored.
        total_bytes: Of the files.
        usage: Memory and CPU of its processes, from start to end.
        requests: S3 requests by bucket and method; empty without S3.
        extra: What only this contender tells.
    """

    n_obs: int
    n_files: int
    seconds: float
    total_bytes: int
    usage: TreeUsage
    requests: Mapping[str, int] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cells_per_second(self) -> float:
        """Cells a second of `seconds`."""
        return self.n_obs / self.seconds

    @property
    def hours_per_million_obs(self) -> float:
        """Hours for a million cells at this speed."""
        return 1e6 / self.cells_per_second / 3600

    @property
    def mean_file_bytes(self) -> float:
        """Bytes of a file; 0 without files."""
        return self.total_bytes / self.n_files if self.n_files else 0.0

    def requests_per_cell(self, bucket: str = "") -> float:
        """S3 requests for each cell, of one bucket or of all."""
        return sum(n for name, n in self.requests.items() if name.startswith(bucket)) / self.n_obs

    def as_json(self) -> dict[str, Any]:
        """For the JSON table."""
        return {
            **asdict(self),
            "cells_per_second": self.cells_per_second,
            "hours_per_million_obs": self.hours_per_million_obs,
            "mean_file_bytes": self.mean_file_bytes,
        }


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A program that ended well: what it wrote, what it used, when it was started (seconds since 1970)."""

    result: dict[str, Any]
    usage: TreeUsage
    started: float
    seconds: float


def run_program(
    arguments: Sequence[str | Path],
    result_file: Path,
    *,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    has_result: bool = True,
) -> Finished:
    """Runs a program to its end and reads the JSON file it wrote.

    Args:
        arguments: The command; `-m module` runs a module with this Python.
        result_file: Where it writes its JSON; what it prints goes to a file beside it.
        environment: Variables besides this process's own.
        timeout_seconds: After this time its processes are ended.
        has_result: Whether it writes one.

    Raises:
        BenchmarkError: It failed or took too long.
    """
    command = [str(argument) for argument in arguments]
    if command[0] == "-m":
        command = [sys.executable, *command]
    result_file.unlink(missing_ok=True)
    log_file = result_file.with_suffix(".log")
    began, started = time.monotonic(), time.time()
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
        sampler = TreeSampler(process.pid).start()
        try:
            exit_code = process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            exit_code = None
        finally:
            if process.poll() is None:
                end_processes(sampler.living)
                process.wait(10)
            usage = sampler.stop()
    seconds = time.monotonic() - began
    end_processes(sampler.living)
    if exit_code != 0 or has_result > result_file.exists():
        said = log_file.read_text(errors="replace")[-2_000:]
        outcome = f"ran longer than {timeout_seconds:.0f} s" if exit_code is None else f"ended with {exit_code}"
        raise BenchmarkError(f"{' '.join(command)}\n{outcome}; the end of {log_file}:\n{said}")
    result = json.loads(result_file.read_text()) if has_result else {}
    return Finished(result=result, usage=usage, started=started, seconds=seconds)
