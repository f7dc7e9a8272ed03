"""The manifest of a dataset: a row for each chunk, and what is compared with it: what is stored, checksums, sums."""

import io
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.finding import named
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan

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
        ("split", pa.string()),
    ]
)
"""A dataset whose chunks have layers beside X has a column `nnz_NAME` more for each."""

_OF_LAYER = "nnz_"


class IncompleteDataset(CxgError):
    """Not every chunk of the plan is stored as reported."""


def make_manifest(plan: ChunkPlan, reports: Sequence[ChunkReport], sizes: Mapping[str, int]) -> list[ChunkReport]:
    """Puts the reports of all chunks in plan order, and checks that they are the whole plan.

    Args:
        plan: The plan.
        reports: One report for each chunk, in any order.
        sizes: Sizes in bytes of what lies at the destination, by chunk key.

    Raises:
        IncompleteDataset: A chunk is missing, has another fingerprint or size, or the cells do not add up.
    """
    wrong = unlike_plan(plan, reports, sizes) or unlike_subset(plan, reports)
    if wrong:
        raise IncompleteDataset(
            f"{plan.header.subset.name}, plan {plan.header.plan_id}: {named(wrong)}. "
            "Write the missing chunks, then publish again"
        )
    by_key = {report.chunk: report for report in reports}
    return [by_key[chunk.key] for chunk in plan.chunks]


def unlike_plan(plan: ChunkPlan, reports: Sequence[ChunkReport], sizes: Mapping[str, int]) -> list[str]:
    """Which of a plan's chunks were not made or are not stored as reported, each in words; arguments as above."""
    by_key = {report.chunk: report for report in reports}
    wrong: list[str] = []
    for chunk in plan.chunks:
        report = by_key.get(chunk.key)
        if report is None or report.fingerprint != chunk.fingerprint:
            wrong.append(f"chunk {chunk.key} was not made from this plan")
        elif other := other_size(report.uri, sizes.get(chunk.key), report.n_bytes):
            wrong.append(f"chunk {chunk.key}: {other}")
    return wrong


def unlike_subset(plan: ChunkPlan, reports: Sequence[ChunkReport]) -> list[str]:
    """Where reports do not add up to the subset, each in words."""
    subset = plan.header.subset
    wrong = [f"the chunks have {other}" for other in other_sums(reports, {"n_obs": subset.n_obs}, "the subset")]
    for part, n_obs in subset.parts.items():
        of_part = [report for report in reports if report.split == part]
        others = other_sums(of_part, {"n_obs": n_obs}, "the subset")
        wrong += [f"the chunks of {part} have {other}" for other in others]
    others = [report.chunk for report in reports if report.n_vars != subset.n_vars]
    if others:
        wrong.append(f"chunk {others[0]} has another number of genes than the subset, {subset.n_vars:,}")
    return wrong


def other_size(uri: str, n_bytes: int | None, expected: int) -> str:
    """How a stored file differs in size from its record, in words; empty when it does not.

    Args:
        uri: The file.
        n_bytes: As it was listed; None where it was not.
        expected: As it was recorded.
    """
    if n_bytes is None:
        return f"missing: {uri} is not there"
    return "" if n_bytes == expected else f"{uri} has {n_bytes:,} bytes, {expected:,} were recorded"


def other_sums(reports: Sequence[ChunkReport], expected: Mapping[str, int], said: str) -> list[str]:
    """Which sums over chunks are not what they should be, each in words.

    Args:
        reports: The chunks.
        expected: What they should be, by name, of those that `totals` gives.
        said: Who says so.
    """
    sums = totals(reports)
    return [f"{name} {sums[name]:,}, {said} {number:,}" for name, number in expected.items() if sums[name] != number]


def totals(reports: Sequence[ChunkReport]) -> dict[str, int]:
    """The figures of all chunks together, under their names in `Dataset.sums`."""
    sums = {name: sum(getattr(report, name) for report in reports) for name in ("n_obs", "nnz", "n_bytes")}
    return {**sums, "n_vars": max((report.n_vars for report in reports), default=0), "n_chunks": len(reports)}


def manifest_bytes(manifest: Sequence[ChunkReport]) -> bytes:
    """The manifest as a parquet file of `SCHEMA`."""
    rows = [{name: getattr(report, name) for name in SCHEMA.names} for report in manifest]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    for layer in manifest[0].layer_nnz if manifest else ():
        values = pa.array([report.layer_nnz[layer] for report in manifest], pa.int64())
        table = table.append_column(f"{_OF_LAYER}{layer}", values)
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def read_manifest(data: bytes) -> list[ChunkReport]:
    """Reads what `manifest_bytes` made: the figures of each chunk; it tells nothing of their making.

    Raises:
        CxgError: It is something else.
    """
    try:
        # Not of BytesIO: pyarrow reads Python files ahead in threads, and a process that ends at once is aborted.
        # And not by read_table, which loads pyarrow's datasets, and with them pandas.
        table = pq.ParquetFile(pa.BufferReader(data)).read()
        if "split" not in table.schema.names:  # of an earlier version
            table = table.append_column("split", pa.nulls(table.num_rows, pa.string()))
        rows = table.select(SCHEMA.names).cast(SCHEMA).to_pylist()
        layers = [name for name in table.schema.names if name.startswith(_OF_LAYER)]
        nnz = table.select(layers).rename_columns([name.removeprefix(_OF_LAYER) for name in layers]).to_pylist()
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise CxgError(f"it is not a manifest of this version of cxg_assets: {reason}") from error
    of_layers = nnz if layers else [{}] * len(rows)  # a table without columns has no rows
    return [ChunkReport(**row, worker="", attempt=0, layer_nnz=told) for row, told in zip(rows, of_layers, strict=True)]
