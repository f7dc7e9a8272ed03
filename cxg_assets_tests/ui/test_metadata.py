"""A chunk's report survives its way through Dagster's metadata, also one that was recorded by an earlier version."""

from dataclasses import asdict, replace
from typing import cast

import anndata
import dagster as dg
import pytest

from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.quantities import size
from cxg_assets.ui.metadata import chunk_metadata, report_from
from cxg_assets_tests.ingested import Ingested

ADDED_LATER = {"read_retries", "upload_retries", "nnz_decoded", "stored_at"}


def recorded_before(report: ChunkReport) -> dict[str, dg.MetadataValue]:
    """The metadata of a version that had each field of the report as an entry for people, and not the whole report."""
    fields = {name: value for name, value in asdict(report).items() if name != "cell_types" and value is not None}
    fields["stored_at"] = dg.MetadataValue.timestamp(report.stored_at)
    return dict(dg.AssetMaterialization("h5ad_chunks", metadata=fields).metadata)


def recorded(report: ChunkReport) -> dict[str, dg.MetadataValue]:
    """The metadata as an event has them."""
    event = dg.AssetMaterialization("h5ad_chunks", partition=report.chunk, metadata=chunk_metadata(report))
    return dict(event.metadata)


def test_a_report_comes_back_as_it_was(blood: Ingested) -> None:
    for report in blood.reports:
        assert report.stored_at
        assert report_from(recorded(report)) == report


def test_a_report_of_before_it_was_kept_whole_comes_back_from_what_people_read(blood: Ingested) -> None:
    for report in blood.reports:
        assert report_from(recorded_before(report)) == replace(report, cell_types={})


def test_a_report_of_an_earlier_version_comes_back_without_what_it_did_not_know(blood: Ingested) -> None:
    report = blood.reports[0]
    metadata = {name: value for name, value in recorded_before(report).items() if name not in ADDED_LATER}

    known = replace(report, read_retries=0, upload_retries=0, nnz_decoded=0, stored_at=0.0, cell_types={})
    assert report_from(metadata) == known


@pytest.mark.parametrize("whole", [True, False])
def test_a_report_whose_time_had_an_earlier_name_comes_back_with_it(blood: Ingested, whole: bool) -> None:
    report = blood.reports[0]
    metadata = recorded(report) if whole else recorded_before(report)
    metadata["landed_at"] = metadata.pop("stored_at")
    if whole:
        kept = dict(cast("dict[str, object]", metadata.pop("chunk_report").value))
        kept["landed_at"] = kept.pop("stored_at")
        metadata["chunk_report"] = dg.MetadataValue.json(kept)

    assert report.stored_at
    assert report_from(metadata) == (report if whole else replace(report, cell_types={}))


def test_a_chunk_tells_first_what_people_ask_and_nothing_twice_but_in_the_whole_report(blood: Ingested) -> None:
    report = blood.reports[0]
    metadata = chunk_metadata(report)

    n_obs, n_bytes = blood.plan.chunks[0].n_obs, blood.file(blood.plan.chunks[0]).stat().st_size
    assert list(metadata)[:2] == ["summary", "uri"]
    assert metadata["summary"] == f"{n_obs} cells, {size(n_bytes)}, {metadata['cells_per_second']:,.0f} cells/s"
    assert metadata["n_obs"] == n_obs
    assert metadata["bytes_per_cell"] == round(n_bytes / n_obs, 1)
    assert "dagster/row_count" not in metadata
    assert list(metadata)[-1] == "chunk_report"
    scalars = [value for value in metadata.values() if isinstance(value, (int, float, str))]
    assert len(scalars) == len(set(scalars))


def test_a_chunk_counts_its_cells_by_type(blood: Ingested) -> None:
    chunk, report = blood.plan.chunks[0], blood.reports[0]
    counts = anndata.read_h5ad(blood.file(chunk)).obs["cell_type"].value_counts()
    assert dict(report.cell_types) == {name: n for name, n in counts.items() if n}
    first = chunk_metadata(report)["cell_types"].value.splitlines()[2]
    assert first == f"| {counts.index[0]} | {counts.iloc[0]} | {100 * counts.iloc[0] / chunk.n_obs:.1f} % |"


def test_a_chunk_in_s3_tells_the_command_that_fetches_it(blood: Ingested) -> None:
    told = {
        uri: chunk_metadata(replace(blood.reports[0], uri=uri))["download"].value
        for uri in ("s3://b/s/p/00000-ab.h5ad", "s3://b/s/p/train.zarr/dataset_00000_ab")
    }
    assert list(told.values()) == [
        "aws s3 cp s3://b/s/p/00000-ab.h5ad .",
        "aws s3 cp --recursive s3://b/s/p/train.zarr/dataset_00000_ab dataset_00000_ab",
    ]
