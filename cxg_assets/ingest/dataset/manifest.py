"""The manifest: one row for each chunk of a complete dataset."""

import io
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ingest.quantities import counted

SCHEMA = pa.schema(
    [
        ("chunk", pa.string()),
        ("uri", pa.string()),
        ("first_joinid", pa.int64()),
        ("last_joinid", pa.int64()),
        ("n_obs", pa.int64()),
        ("n_vars", pa.int64()),
        ("nnz", pa.int64()),
        ("n_bytes", pa.int64()),
        ("sha256", pa.string()),
        ("fingerprint", pa.string()),
    ]
)


class IncompleteDataset(CxgError):
    """Not every chunk of the plan has landed as reported."""


def make_manifest(plan: ChunkPlan, reports: Sequence[ChunkReport], sizes: Mapping[str, int]) -> pa.Table:
    """Puts the reports of all chunks together, in plan order, and checks that they are the whole plan.

    Args:
        plan: The plan.
        reports: One report for each chunk, in any order.
        sizes: Sizes in bytes of what lies at the destination, by chunk key.

    Raises:
        IncompleteDataset: A chunk is missing, has another fingerprint or size, or the cells do not add up.

    Returns:
        A table of `SCHEMA`.
    """
    wrong = landed_problems(plan, reports, sizes) or sum_problems(plan, reports)
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise IncompleteDataset(
            f"{plan.header.subset}, plan {plan.header.plan_id}: {'; '.join(wrong[:5])}{more}. "
            "Make the missing chunks, then publish again"
        )
    by_key = {report.chunk: report for report in reports}
    rows = [{name: getattr(by_key[chunk.key], name) for name in SCHEMA.names} for chunk in plan.chunks]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def landed_problems(plan: ChunkPlan, reports: Sequence[ChunkReport], sizes: Mapping[str, int]) -> list[str]:
    """What of a plan's chunks is not there as reported, each in words.

    Args:
        plan: The plan.
        reports: In any order.
        sizes: Sizes in bytes of what lies at the destination, by chunk key.
    """
    by_key = {report.chunk: report for report in reports}
    wrong: list[str] = []
    for chunk in plan.chunks:
        report = by_key.get(chunk.key)
        if report is None or report.fingerprint != chunk.fingerprint:
            wrong.append(f"{chunk.key} was not made from this plan")
        elif chunk.key not in sizes:
            wrong.append(f"{chunk.key} is not at {report.uri}")
        elif sizes[chunk.key] != report.n_bytes:
            wrong.append(f"{chunk.key} has {sizes[chunk.key]:,} bytes at {report.uri}, {report.n_bytes:,} were written")
    return wrong


def sum_problems(plan: ChunkPlan, reports: Sequence[ChunkReport]) -> list[str]:
    """Where reports do not add up to the subset, each in words.

    Args:
        plan: The plan.
        reports: In any order.
    """
    n_obs = sum(report.n_obs for report in reports)
    wrong = (
        []
        if n_obs == plan.header.n_obs
        else [f"the chunks have {counted(n_obs, 'cell')}, the subset {plan.header.n_obs:,}"]
    )
    others = [report.chunk for report in reports if report.n_vars != plan.header.n_vars]
    if others:
        wrong.append(f"{others[0]} has another number of genes than the subset, {plan.header.n_vars:,}")
    return wrong


def manifest_bytes(manifest: pa.Table) -> bytes:
    """The manifest as a parquet file."""
    sink = io.BytesIO()
    pq.write_table(manifest, sink)
    return sink.getvalue()


def total(manifest: pa.Table, column: str) -> int:
    """Sum of a column."""
    return int(manifest[column].to_numpy().sum())


def read_manifest(data: bytes) -> pa.Table:
    """Reads what `manifest_bytes` made.

    Raises:
        CxgError: It is something else.
    """
    try:
        # Not of BytesIO: pyarrow reads Python files ahead in threads, and a process that ends at once is aborted.
        return pq.read_table(pa.BufferReader(data)).select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise CxgError(f"it is not a manifest of this version of cxg_assets: {reason}") from error
