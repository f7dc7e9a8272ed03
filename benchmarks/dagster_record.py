"""What a run of our command left in its Dagster instance: when things happened, and the seconds of each stage."""

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance

from cxg_assets.names import h5ad_chunks_key, missing_chunks_job_name


@dataclass(frozen=True, kw_only=True)
class Record:
    """A run over chunks, as its events tell it.

    Attributes:
        n_recorded: Materializations of chunks.
        launch_to_first_chunk_seconds: From the start of the Dagster run to the first chunk on record.
        command_to_first_chunk_seconds: The same from the start of the command.
        first_to_last_chunk_seconds: Between the records of the first and the last chunk.
        read_seconds: Over all chunks, in the workers.
        encode_seconds: Over all chunks, in the workers.
        upload_seconds: Over all chunks, in the workers.
    """

    n_recorded: int
    launch_to_first_chunk_seconds: float
    command_to_first_chunk_seconds: float
    first_to_last_chunk_seconds: float
    read_seconds: float
    encode_seconds: float
    upload_seconds: float

    def as_extra(self) -> dict[str, Any]:
        """For a measurement."""
        return asdict(self)


@contextlib.contextmanager
def fresh_home(work: Path) -> Iterator[Path]:
    """A new `CXG_HOME`, so that no run finds what another left; removed afterwards."""
    home = work / f"home-{uuid.uuid4().hex[:8]}"
    home.mkdir()
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def read_record(home: Path, subset: str, command_started: float) -> Record:
    """Reads the instance of one run.

    Args:
        home: Its `CXG_HOME`.
        subset: Name of the subset.
        command_started: When the command was started, in seconds since 1970.
    """
    with DagsterInstance.from_config(str(home / "dagster")) as instance:
        run = instance.get_run_records(dg.RunsFilter(job_name=missing_chunks_job_name(subset)), limit=1)[0]
        launched = run.start_time or run.create_timestamp.timestamp()
        times: list[float] = []
        seconds = {"read_seconds": 0.0, "encode_seconds": 0.0, "upload_seconds": 0.0}
        cursor: str | None = None
        while True:
            page = instance.fetch_materializations(h5ad_chunks_key(subset), limit=1_000, cursor=cursor)
            for record in page.records:
                times.append(record.timestamp)
                materialization = record.asset_materialization
                for name in seconds:
                    value = materialization.metadata.get(name) if materialization else None
                    seconds[name] += float(value.value) if value else 0.0  # type: ignore[arg-type]
            if not page.has_more:
                break
            cursor = page.cursor
    return Record(
        n_recorded=len(times),
        launch_to_first_chunk_seconds=min(times) - launched,
        command_to_first_chunk_seconds=min(times) - command_started,
        first_to_last_chunk_seconds=max(times) - min(times),
        **seconds,
    )
