"""The report of a chunk that is stored is read back from its file, and from no other file."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from cxg_assets.ingest.chunks.report import Costs
from cxg_assets.ingest.chunks.stored_chunk import read_report
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets_tests.conftest import BLOOD_NORMAL, Bucket, Ingest
from cxg_assets_tests.ingested import Ingested

UNKNOWN: dict[str, Any] = {
    **asdict(Costs()),
    "read_seconds": 0.0,
    "encode_seconds": 0.0,
    "upload_seconds": 0.0,
    "worker": "",
    "attempt": 0,
    "nnz_decoded": 0,
    "stored_at": 0.0,
    "cell_types": {},
}
"""What a file does not tell of its making, and what is not counted again."""


def test_the_report_read_back_is_the_one_that_was_made(blood: Ingested) -> None:
    for chunk, report in zip(blood.plan.chunks, blood.reports, strict=True):
        assert read_report(blood.store, blood.plan.header, chunk) == replace(report, **UNKNOWN)


def test_it_is_read_back_from_s3(ingest: Ingest, spec: Callable[..., SubsetSpec], s3: Bucket) -> None:
    made = ingest(spec(value_filter=BLOOD_NORMAL, max_obs=50), s3.locator())

    assert read_report(made.store, made.plan.header, made.plan.chunks[0]) == replace(made.reports[0], **UNKNOWN)


def test_a_chunk_that_is_not_stored_is_not_found(blood: Ingested) -> None:
    absent = replace(blood.plan.chunks[0], fingerprint="0" * 64)

    with pytest.raises(FileNotFoundError, match=r"00000-0000000000000000\.h5ad is not there"):
        read_report(blood.store, blood.plan.header, absent)


@pytest.mark.parametrize("damage", ["text", "half", "empty", "another h5ad"])
def test_a_file_that_is_not_a_chunk_is_named_with_what_to_do(
    ingest: Ingest, spec: Callable[..., SubsetSpec], store_url: str, damage: str
) -> None:
    made = ingest(spec(max_obs=50), store_url)
    file = made.file(made.plan.chunks[0])
    whole = file.read_bytes()
    if damage == "another h5ad":
        adata = made.read(made.plan.chunks[0])
        del adata.uns["cxg_assets"]
        adata.write_h5ad(file)
    else:
        file.write_bytes({"text": b"not an h5ad", "half": whole[: len(whole) // 2], "empty": b""}[damage])

    with pytest.raises(CxgError, match=f"{file.as_uri()} is not a chunk of cxg_assets .*; delete it and run again"):
        read_report(made.store, made.plan.header, made.plan.chunks[0])


def test_of_a_published_chunk_that_is_damaged_it_is_said_how_to_repair_it(
    ingest: Ingest, spec: Callable[..., SubsetSpec], store_url: str
) -> None:
    made = ingest(spec(max_obs=50), store_url)
    publish(made.store, made.plan, made.reports, made.census)
    file = made.file(made.plan.chunks[0])
    file.write_bytes(file.read_bytes()[:1_000])

    message = f"{file.as_uri()} is not a chunk of cxg_assets .*; cxg-assets verify blood_normal --repair makes it again"
    with pytest.raises(CxgError, match=message):
        read_report(made.store, made.plan.header, made.plan.chunks[0])


def test_a_chunk_of_other_inputs_is_told_from_the_planned_one(
    ingest: Ingest, spec: Callable[..., SubsetSpec], store_url: str
) -> None:
    made = ingest(spec(max_obs=100, chunk_size=50), store_url)
    first, second = made.plan.chunks
    made.file(first).write_bytes(made.file(second).read_bytes())

    message = f"has fingerprint {second.fingerprint[:8]} and 50 cells, the plan expects {first.fingerprint[:8]} and 50"
    with pytest.raises(CxgError, match=f"{message}: it was made from other inputs; delete it and run again"):
        read_report(made.store, made.plan.header, first)
