"""A release is known by its content: another build has another fingerprint, the same one the same."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.census.release import Release, public_bucket_config, read_release
from cxg_assets.ingest.errors import BadInput, CxgError


def write_summary(path: Path, summary: dict[str, str]) -> None:
    """Writes a census that has nothing but its summary."""
    n_rows = len(summary)
    joinids = pa.array(range(n_rows), pa.int64())
    rows = pa.table({"soma_joinid": joinids, "label": list(summary), "value": list(summary.values())})
    with soma.Collection.create(str(path)) as census:
        census.add_new_collection("census_data")
        info = census.add_new_collection("census_info")
        with info.add_new_dataframe("summary", schema=rows.schema, domain=[(0, n_rows - 1)]) as table:
            table.write(rows)


def test_a_release_tells_its_build(census_uri: str, release: Release) -> None:
    assert release.name == "demo"
    assert release.uri == census_uri
    assert release.region is None
    assert (release.build, release.schema_version) == ("2025-01-01", "2.4.0")
    assert len(release.fingerprint) == 64
    assert release.version == f"2025-01-01-{release.fingerprint[:8]}"


def test_reading_again_gives_the_same_fingerprint_at_a_later_time(census_uri: str, release: Release) -> None:
    again = read_release("demo", census_uri, None, {})

    assert again.timestamp_ms >= release.timestamp_ms
    assert replace(again, timestamp_ms=release.timestamp_ms) == release


def test_another_build_in_the_same_place_has_another_fingerprint(tmp_path: Path) -> None:
    summary = {"census_build_date": "2025-11-08", "census_schema_version": "2.4.0", "total_cell_count": "100"}
    write_summary(tmp_path / "census", summary)
    before = read_release("demo", str(tmp_path / "census"), None, {})
    shutil.rmtree(tmp_path / "census")
    write_summary(tmp_path / "census", summary | {"total_cell_count": "101"})

    after = read_release("demo", str(tmp_path / "census"), None, {})

    assert after.build == before.build == "2025-11-08"
    assert after.fingerprint != before.fingerprint
    assert after.version != before.version


def test_another_place_has_another_fingerprint(release: Release, old_release: Release) -> None:
    assert release.fingerprint != old_release.fingerprint


def test_the_locator_reads_the_build_as_it_was(census_uri: str, release: Release) -> None:
    locator = release.locator({"vfs.s3.endpoint_override": "127.0.0.1:1"})

    assert (locator.uri, locator.timestamp_ms) == (census_uri, release.timestamp_ms)
    assert dict(locator.tiledb_config) == {"vfs.s3.endpoint_override": "127.0.0.1:1"}


def test_a_public_bucket_is_read_without_credentials_unless_told_otherwise(release: Release) -> None:
    public = replace(release, region="us-west-2")

    config = dict(public.locator({}).tiledb_config)
    assert (config["vfs.s3.no_sign_request"], config["vfs.s3.region"]) == ("true", "us-west-2")
    assert dict(public.locator({"vfs.s3.region": "eu-west-1"}).tiledb_config)["vfs.s3.region"] == "eu-west-1"
    assert public_bucket_config(None) == {}


def test_what_is_not_a_census_is_bad_input(tmp_path: Path, census_uri: str) -> None:
    with pytest.raises(BadInput, match="nothing: no SOMA collection can be opened there"):
        read_release("x", str(tmp_path / "nothing"), None, {})
    with pytest.raises(BadInput, match="not a Census"):
        read_release("x", f"{census_uri}/census_data", None, {})


def test_a_census_without_a_build_date_is_refused(tmp_path: Path) -> None:
    write_summary(tmp_path / "census", {"total_cell_count": "100"})

    with pytest.raises(CxgError, match="has no census_build_date and no census_schema_version"):
        read_release("x", str(tmp_path / "census"), None, {})
