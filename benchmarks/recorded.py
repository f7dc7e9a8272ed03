"""Chunks recorded in a Dagster instance as a run records them, from reports that are made up."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster import DagsterInstance

from cxg_assets.assets.recording import ChunkRecorder
from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.names import chunk_partitions, h5ad_chunks_key

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One run over partitions.

    Attributes:
        run_id: The run that recorded them.
        create_seconds: What creating a run over all of them takes.
        create_cpu_seconds: CPU of that.
        seconds: What recording all takes.
        cpu_seconds: CPU of that.
    """

    run_id: str
    create_seconds: float
    create_cpu_seconds: float
    seconds: float
    cpu_seconds: float


def record_reports(
    instance: DagsterInstance, subset: str, reports: Sequence[ChunkReport], tags: Mapping[str, str]
) -> Recorded:
    """Records each report as stored, in one run over all partitions, which must be registered.

    Args:
        instance: Where they are recorded.
        subset: Name of the subset.
        reports: In the order of the partitions.
        tags: Of each materialization.
    """
    key = h5ad_chunks_key(subset)
    spent: dict[str, float] = {}

    @dg.asset(
        key=key,
        partitions_def=chunk_partitions(subset),
        backfill_policy=dg.BackfillPolicy.single_run(),
        output_required=False,
    )
    def chunks(context: dg.AssetExecutionContext) -> Iterator[dg.Output[None]]:
        # It asks for its plan only when it looks for another.
        recorder = ChunkRecorder(context=context, key=key, plan=None, tags=dict(tags))  # type: ignore[arg-type]
        began, cpu = time.monotonic(), time.process_time()
        for report in reports:
            recorder.record(report)
        spent.update(seconds=time.monotonic() - began, cpu_seconds=time.process_time() - cpu)
        return
        yield

    job = dg.define_asset_job("chunks", [key])
    definition = dg.Definitions(assets=[chunks], jobs=[job]).resolve_job_def("chunks")
    ends = {
        "dagster/asset_partition_range_start": reports[0].chunk,
        "dagster/asset_partition_range_end": reports[-1].chunk,
    }
    began, cpu = time.monotonic(), time.process_time()
    instance.create_run_for_job(definition, tags=ends)
    created = {"create_seconds": time.monotonic() - began, "create_cpu_seconds": time.process_time() - cpu}
    result = definition.execute_in_process(instance=instance, tags=ends, run_config=QUIET)
    return Recorded(run_id=result.run_id, **created, **spent)


def made_up(subset: str, key: str, number: int) -> ChunkReport:
    """A report as of a chunk of 10,000 cells."""
    return ChunkReport(
        chunk=key,
        fingerprint=f"{number:064x}",
        uri=f"file:///store/{subset}/{'0' * 16}/{key}-{number:016x}.h5ad",
        n_obs=10_000,
        n_vars=61_000,
        nnz=16_000_000 + number,
        n_bytes=36_000_000 + number,
        sha256=f"{number:064x}",
        first_joinid=10_000 * number,
        last_joinid=10_000 * number + 9_999,
        worker="machine:4711",
        attempt=1,
        read_seconds=0.4,
        encode_seconds=0.2,
        upload_seconds=0.1 + number / 1e5,
    )
