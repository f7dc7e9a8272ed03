"""A chunk's report survives its way through Dagster's metadata, also one that was recorded by an earlier version."""

from dataclasses import replace
from typing import cast

import dagster as dg
import pytest

from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ui.metadata import chunk_metadata, report_from
from cxg_assets_tests.ingested import Ingested

ADDED_LATER = {"read_retries", "upload_retries", "nnz_decoded", "stored_at"}


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
        metadata = recorded(report)
        del metadata["chunk_report"]
        assert report_from(metadata) == report


def test_a_report_of_an_earlier_version_comes_back_without_what_it_did_not_know(blood: Ingested) -> None:
    report = blood.reports[0]
    metadata = {name: value for name, value in recorded(report).items() if name not in {*ADDED_LATER, "chunk_report"}}

    assert report_from(metadata) == replace(report, read_retries=0, upload_retries=0, nnz_decoded=0, stored_at=0.0)


@pytest.mark.parametrize("whole", [True, False])
def test_a_report_whose_time_had_an_earlier_name_comes_back_with_it(blood: Ingested, whole: bool) -> None:
    report = blood.reports[0]
    metadata = recorded(report)
    metadata["landed_at"] = metadata.pop("stored_at")
    kept = dict(cast("dict[str, object]", metadata.pop("chunk_report").value))
    if whole:
        kept["landed_at"] = kept.pop("stored_at")
        metadata["chunk_report"] = dg.MetadataValue.json(kept)

    assert report.stored_at
    assert report_from(metadata) == report


def test_the_cells_of_a_chunk_are_the_rows_of_its_partition_and_not_of_the_asset(blood: Ingested) -> None:
    metadata = chunk_metadata(blood.reports[0])

    assert metadata["dagster/partition_row_count"] == metadata["n_obs"] == blood.plan.chunks[0].n_obs
    assert "dagster/row_count" not in metadata
    assert metadata["bytes_per_cell"] == round(blood.file(blood.plan.chunks[0]).stat().st_size / metadata["n_obs"], 1)
