"""Which Census is meant; one command asks once."""

import shutil
from pathlib import Path

import dagster as dg

from cxg_assets.ingest.release import Release
from cxg_assets.resources.census import CensusResource


def test_a_pinned_census_gives_its_release_to_every_step_without_looking(census_uri: str, tmp_path: Path) -> None:
    shutil.copytree(census_uri, tmp_path / "census")
    census = CensusResource(uri=str(tmp_path / "census"), tiledb_config={"vfs.s3.region": "nowhere"})
    release = census.release()
    shutil.rmtree(tmp_path / "census")
    seen: list[Release] = []

    @dg.asset
    def look(census: CensusResource) -> None:
        seen.append(census.release())
        assert census.locator(release) == release.locator({"vfs.s3.region": "nowhere"})

    assert dg.materialize([look], resources={"census": census.pinned(release)}).success
    assert seen == [release]
