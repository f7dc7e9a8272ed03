"""Engine values as Dagster metadata, and chunk reports back from it."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import dagster as dg
import pyarrow as pa
from pydantic_core import from_json, to_json

from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.chunks.amplification import Decoding
from cxg_assets.ingest.chunks.report import ChunkReport, Costs, RunSummary, report_fields
from cxg_assets.ingest.dataset.corpus import Corpus
from cxg_assets.ingest.export.parquet import ParquetExport
from cxg_assets.ingest.formats import H5AD
from cxg_assets.ingest.plan.chunk_plan import BESIDE_X, ChunkPlan
from cxg_assets.ingest.quantities import counted, duration, size
from cxg_assets.ingest.records import decode, encode
from cxg_assets.ingest.selection.index import CensusIndex
from cxg_assets.ingest.selection.selection import Selection
from cxg_assets.ingest.selection.subset import PLANNING_COLUMNS, Subset, subset_columns, subset_schema
from cxg_assets.names import census_index_key, filtered_subset_key
from cxg_assets.ui import bars
from cxg_assets.ui.choices import padded_of, quality_of, sample_of, split_of
from cxg_assets.ui.markdown import in_groups, names_and_values, table
from cxg_assets.ui.schemas import (
    chunk_table_lineage,
    chunk_table_schema,
    obs_schema,
    same_columns,
    storage_metadata,
)

Metadata = dict[str, Any]

_OF_A_RELEASE = {
    "release": "name",
    "census_build": "build",
    "census_uri": "uri",
    "census_region": "region",
    "census_schema_version": "schema_version",
    "census_flags": "flags",
    "census_total_cell_count": "total_cell_count",
    "census_unique_cell_count": "unique_cell_count",
    "census_fingerprint": "fingerprint",
}
"""What the fields of a release are called in metadata."""

COSTS = tuple(field.name for field in fields(Costs))
"""Of a chunk, a run and a dataset: what it took."""

_OF_THE_WRITING = ("read_seconds", "encode_seconds", "upload_seconds", "nnz_decoded", *COSTS)
"""Fields of a chunk's report that people compare where they are known, and that tell of the run that wrote it."""

WHEN_WRITTEN = "figures_when_written"
"""Key of those fields, as JSON, where a later run found the chunk: Dagster plots them as figures of the newest run."""

REPORT = "chunk_report"
"""Key of the whole report of a chunk, as JSON, for the program; all other keys are for people."""

_ABOUT_REPORT = (
    "All that is known of the chunk, for programs. Beside what is told above: who wrote it, which attempt it was, "
    "repeated requests, fingerprint, soma_joinids of the first and the last cell"
)


def release_metadata(release: Release) -> Metadata:
    """Of `census_release`."""
    return {
        "dagster/uri": release.uri,
        **{key: getattr(release, name) for key, name in _OF_A_RELEASE.items()},
        "census_region": release.region or "",
        "census_flags": list(release.flags),
        "census_fingerprint": in_groups(release.fingerprint),
        "read_at": dg.MetadataValue.timestamp(release.timestamp_ms / 1000),
    }


def release_from(metadata: Mapping[str, dg.MetadataValue]) -> Release | None:
    """The release that `release_metadata` was made from; None if an earlier version of cxg_assets told less of it."""
    if "read_at" not in metadata:
        return None
    told: dict[str, Any] = {name: metadata[key].value for key, name in _OF_A_RELEASE.items()}
    told |= {"region": told["region"] or None, "flags": tuple(told["flags"])}
    told["fingerprint"] = told["fingerprint"].replace(" ", "")
    read_at: Any = metadata["read_at"].value
    return Release(**told, timestamp_ms=round(read_at * 1000))


def index_metadata(index: CensusIndex, uri: str, schema: pa.Schema) -> Metadata:
    """Of `census_index`: what is known of it, the URI of its file, and the schema of obs."""
    return {
        **release_metadata(index.release),
        **file_metadata(uri, index.n_obs, obs_schema(schema), n_bytes=index.n_bytes),
        **_fields(index, "n_obs", "n_bytes"),
        "obs_columns": list(index.columns),
    }


def subset_metadata(
    subset: Subset, uri: str, n_bytes: int, index_schema: pa.Schema, warnings: Sequence[str]
) -> Metadata:
    """Of `filtered_subset`.

    Args:
        subset: What was selected.
        uri: Of the obs file.
        n_bytes: Of the obs file.
        index_schema: Schema of the census index, which the columns come from.
        warnings: Labels that the filters overlook.
    """
    selection = subset.selection
    columns = subset_columns(selection, index_schema)
    schema = obs_schema(subset_schema(selection, index_schema))
    lineage = same_columns(census_index_key(selection.experiment), columns)
    return {
        **file_metadata(uri, subset.n_obs, schema, lineage, n_bytes),
        # What people compare comes first.
        **_fields(subset, "n_obs", "n_obs_before", "n_vars", "n_vars_before"),
        "resolved_filter": filter_of(selection),
        "gene_selection": subset.genes_in_words,
        **padded_of(subset),
        "max_obs": "no limit" if selection.max_obs is None else selection.max_obs,
        **quality_of(subset),
        **sample_of(subset),
        **split_of(subset),
        "layers": list(subset.layers),
        "fingerprint": in_groups(subset.fingerprint),
        "census_build": subset.release.build,
        "warnings": "\n".join(warnings) or "none",
    }


def plan_metadata(plan: ChunkPlan, uri: str) -> Metadata:
    """Of `chunk_plan`."""
    header = plan.header
    columns = ("soma_joinid", *header.subset.selection.obs_columns, *PLANNING_COLUMNS)
    lineage = chunk_table_lineage(filtered_subset_key(header.subset.name), columns)
    return {
        **file_metadata(uri, len(plan.chunks), chunk_table_schema(), lineage),
        "n_chunks": len(plan.chunks),
        "n_obs": header.subset.n_obs,
        **_fields(header, "chunk_size", "plan_id"),
        "expected_nnz": sum(chunk.nnz for chunk in plan.chunks),
        "amplification": round(plan.amplification, 3),
        **_fields(header, "layer"),
        **{name: text for name, text in header.provenance.items() if name in BESIDE_X},
        **_fields(header, "format", "compression", "genes_text"),
        "order": header.order_in_words,
        **({} if header.mixing is None else {"datasets_per_512_cells": header.mixing.datasets}),
        **split_of(header.subset),
        "resolved_filter": filter_of(header.subset.selection),
        "genes": header.subset.genes_in_words,
    }


def chunk_metadata(report: ChunkReport, *, already_stored: bool = False) -> Metadata:
    """Of one partition of `h5ad_chunks`; numbers are numbers, so that Dagster plots them.

    What is not known of a chunk that was already stored when the run began is left out, as zeros would bend the plots,
    and what it took to write it is not told as if it had been now. What only a program compares is in the whole report.
    """
    seconds = report.read_seconds + report.encode_seconds + report.upload_seconds
    # A worker overlaps the three, so its throughput is higher than that of one chunk after the other.
    speed = {"cells_per_second": round(report.n_obs / seconds, 1)} if seconds else {}
    said = f"{counted(report.n_obs, 'cell')}, {size(report.n_bytes)}"
    metadata: Metadata = {
        "summary": said if already_stored or not speed else f"{said}, {speed['cells_per_second']:,.0f} cells/s",
        "uri": dg.MetadataValue.path(report.uri),
    }
    if report.uri.startswith("s3://"):
        metadata["download"] = dg.MetadataValue.path(copy_command(report.uri))
    if report.cell_types:
        others = report.n_obs - sum(report.cell_types.values())
        metadata["cell_types"] = bars.table("cell type", report.cell_types, others)
    metadata |= {"n_obs": report.n_obs, "n_bytes": report.n_bytes}
    figures = speed | {name: value for name in _OF_THE_WRITING if (value := getattr(report, name))}
    if not already_stored:
        metadata |= figures
    else:
        metadata["already_stored"] = True
        if figures:
            metadata[WHEN_WRITTEN] = dg.MetadataValue.json(figures)
    metadata |= {"bytes_per_cell": round(report.n_bytes / report.n_obs, 1), "nnz": report.nnz}
    metadata |= {f"nnz_{name}": nnz for name, nnz in report.layer_nnz.items()}
    if report.split is not None:
        metadata["split"] = report.split
    if report.stored_at:
        metadata["stored_at"] = dg.MetadataValue.timestamp(report.stored_at)
    whole = {"about": _ABOUT_REPORT, **from_json(encode(report))}
    return metadata | {"sha256": in_groups(report.sha256), REPORT: dg.MetadataValue.json(whole)}


def copy_command(uri: str) -> str:
    """The command that fetches a chunk of S3 into the current folder."""
    name = uri.rpartition("/")[2]
    return f"aws s3 cp {uri} ." if name.endswith(f".{H5AD}") else f"aws s3 cp --recursive {uri} {name}"


def report_from(metadata: Mapping[str, dg.MetadataValue]) -> ChunkReport:
    """The report that `chunk_metadata` was made from."""
    told: dict[str, Any] = {name: item.value for name, item in metadata.items()}
    # Without it an earlier version of cxg_assets kept the report in the keys that people read.
    report = told.get(REPORT) or report_fields(told | told.get(WHEN_WRITTEN, {}))
    where, remedy = "the record of a chunk in Dagster", "materialize its partition again"
    return decode(ChunkReport, to_json(report), path=where, remedy=remedy, upgrade=report_fields)


def summary_from(metadata: Mapping[str, dg.MetadataValue]) -> RunSummary:
    """The summary that `summary_metadata` was made from."""
    told = {field.name: metadata[field.name].value for field in fields(RunSummary) if field.name in metadata}
    return RunSummary(**told)  # type: ignore[arg-type]


def summary_metadata(summary: RunSummary) -> Metadata:
    """Of a run over chunks."""
    rows = {"Outcome": summary.nothing_written} if summary.nothing_written else {}
    rows |= {
        "Files": f"{summary.n_files:,} written, {summary.n_skipped:,} already stored, {summary.n_failed:,} failed",
        "Observations": f"{summary.n_obs:,}",
    }
    if summary.n_files:
        rows |= {
            "Elapsed": duration(summary.ingest_seconds),
            "Throughput": f"{summary.cells_per_second:,.0f} cells/s, "
            f"{summary.hours_per_million_obs:.3f} hours per 1M observations",
            "Size": f"{size(summary.total_bytes)}, {size(summary.mean_file_bytes)} a file on average",
            "Workers": f"{summary.workers:,}, {summary.workers_lost:,} lost, "
            f"{counted(summary.retries, 'chunk')} tried again",
            "Took": costs_in_words(summary),
        }
    names = (*(field.name for field in fields(summary)), "mean_file_bytes", "cells_per_second", "hours_per_million_obs")
    return {"summary": names_and_values(rows), **_fields(summary, *names)}


def costs_in_words(costs: Costs) -> str:
    """What something took, in one line."""
    return (
        f"{costs.cpu_seconds:,.1f} s of CPU in workers, {size(costs.bytes_read)} read in "
        f"{counted(round(costs.read_requests), 'request')}, {counted(costs.write_requests, 'request')} to write"
    )


def costs_metadata(reports: Sequence[ChunkReport]) -> Metadata:
    """What all chunks took together that are known to have been written by a worker that told; nothing for none."""
    told = [report for report in reports if report.cpu_seconds]
    return {"n_chunks_told": len(told), **_fields(Costs.of(told), *COSTS)} if told else {}


def decoding_metadata(decoding: Decoding) -> Metadata:
    """Of chunks of which it is known what was decoded for them."""
    return {
        "nnz_decoded": int(decoding.nnz_decoded.sum()),
        **_fields(decoding, "amplification", "amplification_expected"),
    }


def export_metadata(exported: ParquetExport, uri: str) -> Metadata:
    """Of `parquet`."""
    told = {"dagster/row_count": exported.n_obs, "dagster/uri": uri, **storage_metadata(uri)}
    return told | _fields(exported, "plan_id", "n_obs", "n_files", "n_written", "n_bytes")


def corpus_metadata(corpus: Corpus, uri: str) -> Metadata:
    """Of `corpus`."""
    headings = ("dataset", "organism", "cells", "genes", "files", "size")
    rows = (
        (one.subset, one.organism, f"{one.n_obs:,}", f"{one.n_vars:,}", f"{one.n_chunks:,}", size(one.n_bytes))
        for one in corpus.members
    )
    told: Metadata = {"datasets": dg.MetadataValue.md(table(headings, rows, numbers=headings[2:]))}
    told |= {"census_build": corpus.build, "published_at": corpus.published_at, "n_obs": corpus.n_obs}
    return told | {"n_bytes": sum(one.n_bytes for one in corpus.members), "dagster/uri": uri, **storage_metadata(uri)}


def file_metadata(
    uri: str, n_rows: int, schema: dg.TableSchema, lineage: dg.TableColumnLineage | None = None, n_bytes: int = 0
) -> Metadata:
    """What Dagster itself knows of a file with a table in it, in its own names."""
    told: Metadata = {"dagster/row_count": n_rows, "dagster/uri": uri}
    told |= {"dagster/size_bytes": n_bytes} if n_bytes else {}
    told |= {**storage_metadata(uri), "dagster/column_schema": schema}
    return told | ({} if lineage is None else {"dagster/column_lineage": lineage})


def _fields(value: object, *names: str) -> Metadata:
    return {name: getattr(value, name) for name in names}


def filter_of(selection: Selection) -> str:
    """The filter over obs as it was understood."""
    return selection.value_filter or "none: every cell"
