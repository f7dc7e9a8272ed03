"""A manifest is made of a whole plan or not at all."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cxg_assets.ingest.chunks.report import ChunkReport
from cxg_assets.ingest.dataset.manifest import (
    SCHEMA,
    IncompleteDataset,
    make_manifest,
    manifest_bytes,
    read_manifest,
    totals,
)
from cxg_assets.ingest.plan.stored import stored_sizes
from cxg_assets_tests.ingested import Ingested


@pytest.fixture
def sizes(blood: Ingested) -> dict[str, int]:
    return stored_sizes(blood.store, blood.plan)


def test_it_has_one_row_a_chunk_in_plan_order(blood: Ingested, sizes: dict[str, int]) -> None:
    manifest = make_manifest(blood.plan, blood.reports[::-1], sizes)

    table = pq.read_table(pa.BufferReader(manifest_bytes(manifest)))
    assert table.schema == SCHEMA
    for row, report in zip(table.to_pylist(), blood.reports, strict=True):
        assert row == {name: getattr(report, name) for name in SCHEMA.names}
    assert totals(manifest)["n_obs"] == blood.plan.header.subset.n_obs


def test_it_comes_back_from_parquet(blood: Ingested, sizes: dict[str, int]) -> None:
    manifest = make_manifest(blood.plan, blood.reports, sizes)

    read = read_manifest(manifest_bytes(manifest))
    assert manifest_bytes(read) == manifest_bytes(manifest)
    assert totals(read) == totals(manifest)


def test_a_chunk_without_report_makes_it_incomplete(blood: Ingested, sizes: dict[str, int]) -> None:
    plan_id = blood.plan.header.plan_id

    with pytest.raises(IncompleteDataset, match=f"blood_normal, plan {plan_id}: chunk 00001 was not made from"):
        make_manifest(blood.plan, [report for report in blood.reports if report.chunk != "00001"], sizes)


def test_a_report_of_another_plan_makes_it_incomplete(blood: Ingested, sizes: dict[str, int]) -> None:
    first, *others = blood.reports

    with pytest.raises(IncompleteDataset, match="00000 was not made from this plan"):
        make_manifest(blood.plan, [replace(first, fingerprint="0" * 64), *others], sizes)


def test_an_object_that_is_gone_makes_it_incomplete(blood: Ingested, sizes: dict[str, int]) -> None:
    del sizes["00002"]

    with pytest.raises(IncompleteDataset, match=f"chunk 00002: missing: {blood.reports[2].uri} is not there"):
        make_manifest(blood.plan, blood.reports, sizes)


def test_an_object_of_another_size_makes_it_incomplete(blood: Ingested, sizes: dict[str, int]) -> None:
    sizes["00001"] = 17

    message = rf"chunk 00001: .* has 17 bytes, {blood.reports[1].n_bytes:,} were recorded\. Write the missing chunks"
    with pytest.raises(IncompleteDataset, match=message):
        make_manifest(blood.plan, blood.reports, sizes)


def test_cells_that_do_not_add_up_make_it_incomplete(blood: Ingested, sizes: dict[str, int]) -> None:
    first, *others = blood.reports
    n_obs = blood.plan.header.subset.n_obs

    with pytest.raises(IncompleteDataset, match=f"the chunks have n_obs {n_obs - 1:,}, the subset {n_obs:,}"):
        make_manifest(blood.plan, [replace(first, n_obs=first.n_obs - 1), *others], sizes)


def test_many_problems_are_counted_and_some_are_named(blood: Ingested) -> None:
    plan = replace(blood.plan, chunks=tuple(replace(blood.plan.chunks[0], key=f"{n:05d}") for n in range(9)))
    none: list[ChunkReport] = []

    with pytest.raises(IncompleteDataset, match=r"00004 was not made from this plan and 4 more\. Write the missing"):
        make_manifest(plan, none, {})
