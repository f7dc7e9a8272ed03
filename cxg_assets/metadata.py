"""Engine values as Dagster metadata, and chunk reports back from it."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import dagster as dg

from cxg_assets.ingest.dataset import Dataset
from cxg_assets.ingest.index import CensusIndex
from cxg_assets.ingest.plan import ChunkPlan
from cxg_assets.ingest.release import Release
from cxg_assets.ingest.report import ChunkReport, RunSummary
from cxg_assets.ingest.subset import FilteredSubset

Metadata = dict[str, Any]


def release_metadata(release: Release) -> Metadata:
    """Of `census_release`."""
    return {
        "release": release.name,
        "census_build": release.build,
        "census_uri": release.uri,
        "census_region": release.region or "",
        "census_schema_version": release.schema_version,
        "census_flags": list(release.flags),
        "census_total_cell_count": release.total_cell_count,
        "census_unique_cell_count": release.unique_cell_count,
        "census_fingerprint": release.fingerprint,
        "read_at": dg.MetadataValue.timestamp(release.timestamp_ms / 1000),
    }


def release_from(metadata: Mapping[str, dg.MetadataValue]) -> Release | None:
    """The release that `release_metadata` was made from; None if an earlier version of cxg_assets told less of it."""
    if "read_at" not in metadata:
        return None
    value: dict[str, Any] = {name: item.value for name, item in metadata.items()}
    return Release(
        name=value["release"],
        build=value["census_build"],
        uri=value["census_uri"],
        region=value["census_region"] or None,
        schema_version=value["census_schema_version"],
        fingerprint=value["census_fingerprint"],
        timestamp_ms=round(value["read_at"] * 1000),
        flags=tuple(value["census_flags"]),
        total_cell_count=value["census_total_cell_count"],
        unique_cell_count=value["census_unique_cell_count"],
    )


def index_metadata(index: CensusIndex, uri: str) -> Metadata:
    """Of `census_index`."""
    return {
        "dagster/row_count": index.n_obs,
        "dagster/uri": uri,
        "n_obs": index.n_obs,
        "n_bytes": index.n_bytes,
        "obs_columns": list(index.columns),
        **release_metadata(index.release),
    }


def subset_metadata(subset: FilteredSubset, uri: str) -> Metadata:
    """Of `filtered_subset`."""
    return {
        "dagster/row_count": subset.n_obs,
        "dagster/uri": uri,
        "n_obs": subset.n_obs,
        "n_obs_before": subset.n_obs_before,
        "n_vars": subset.n_vars,
        "n_vars_before": subset.n_vars_before,
        "fingerprint": subset.fingerprint,
        "census_build": subset.release.build,
    }


def plan_metadata(plan: ChunkPlan, uri: str) -> Metadata:
    """Of `chunk_plan`."""
    return {
        "dagster/row_count": len(plan.chunks),
        "dagster/uri": uri,
        "n_chunks": len(plan.chunks),
        "n_obs": plan.header.n_obs,
        "chunk_size": plan.header.chunk_size,
        "plan_id": plan.header.plan_id,
        "expected_nnz": sum(chunk.nnz for chunk in plan.chunks),
        "amplification": round(plan.amplification, 3),
        "genes": plan.header.genes,
    }


def chunk_metadata(report: ChunkReport) -> Metadata:
    """Of one partition of `h5ad_chunks`; numbers are numbers, so that Dagster plots them."""
    seconds = report.read_seconds + report.encode_seconds + report.upload_seconds
    # What people compare comes first.
    metadata: Metadata = {
        "dagster/row_count": report.n_obs,
        "n_obs": report.n_obs,
        "n_bytes": report.n_bytes,
        "bytes_per_cell": report.n_bytes / report.n_obs,
    }
    if seconds:
        # A worker overlaps the three, so its throughput is higher than that of one chunk after the other.
        metadata["cells_per_second"] = report.n_obs / seconds
    return metadata | {field.name: getattr(report, field.name) for field in fields(report)}


def report_from(metadata: Mapping[str, dg.MetadataValue]) -> ChunkReport:
    """The report that `chunk_metadata` was made from."""
    known = {field.name: metadata[field.name].value for field in fields(ChunkReport) if field.name in metadata}
    return ChunkReport(**known)  # type: ignore[arg-type]


def summary_metadata(summary: RunSummary) -> Metadata:
    """Of a run over chunks."""
    return {
        **{field.name: getattr(summary, field.name) for field in fields(summary)},
        "mean_file_bytes": summary.mean_file_bytes,
        "cells_per_second": summary.cells_per_second,
        "hours_per_million_obs": summary.hours_per_million_obs,
    }


def dataset_metadata(dataset: Dataset, uri: str) -> Metadata:
    """Of `dataset`."""
    return {
        "dagster/row_count": dataset.n_obs,
        "dagster/uri": uri,
        "plan_id": dataset.plan_id,
        "n_obs": dataset.n_obs,
        "n_vars": dataset.n_vars,
        "nnz": dataset.nnz,
        "n_chunks": dataset.n_chunks,
        "n_bytes": dataset.n_bytes,
        "mean_file_bytes": dataset.n_bytes / dataset.n_chunks,
        "census_build": dataset.release.build,
        "published_at": dataset.published_at,
    }
