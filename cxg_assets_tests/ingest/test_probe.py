"""A destination is proven before any work; nothing is left there, and each reason has its own message."""

from pathlib import Path

import pytest

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.probe import Proven, probe
from cxg_assets.ingest.store import StoreLocator
from cxg_assets_tests.conftest import Bucket


@pytest.fixture(params=["folder", "s3"])
def locator(request: pytest.FixtureRequest, store_url: str) -> StoreLocator:
    """An empty store of either kind."""
    if request.param == "folder":
        return StoreLocator(url=store_url)
    return request.getfixturevalue("s3").locator("some/prefix")


def test_a_destination_that_can_be_used_passes_and_nothing_is_left_there(locator: StoreLocator, tmp_path: Path) -> None:
    assert probe(locator) == Proven(locator)

    assert locator.open().sizes("") == {}
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_that_is_not_there_is_bad_input(s3: Bucket) -> None:
    with pytest.raises(BadInput, match=r"destination: s3://no-such-bucket/prefix cannot be listed: .*no such bucket"):
        probe(StoreLocator(url="s3://no-such-bucket/prefix", s3=s3.settings))


def test_a_file_in_the_place_of_the_destination_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(BadInput, match=f"destination: {tmp_path}/file.*"):
        probe(StoreLocator(url=(tmp_path / "file").as_uri()))
    with pytest.raises(BadInput, match=f"destination: {tmp_path}/file.*"):
        probe(StoreLocator(url=(tmp_path / "file" / "below").as_uri()))
