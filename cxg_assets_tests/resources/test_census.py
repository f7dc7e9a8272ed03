"""Which Census is meant and how it is reached; one command asks once."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata
import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource

from cxg_assets.cli.run import run_ingest
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.resources.census import CensusResource
from cxg_assets.resources.store import StoreResource
from cxg_assets_tests.cli.command import move_to
from cxg_assets_tests.conftest import BLOOD_NORMAL
from cxg_assets_tests.servers.counted_s3 import KEYS, upload
from cxg_assets_tests.servers.strict_s3 import BUCKET, Key, Rules, StrictS3, forget_aws, serve_strict_s3

CENSUS_KEY = Key(id=KEYS["aws_access_key_id"], secret=KEYS["aws_secret_access_key"])
STORE_KEY = Key(id="AKIAOFTHEDESTINATION", secret="secret-of-the-destination", token="token-of-the-destination")
LABS_S3 = {
    "AWS_ENDPOINT_URL": "http://s3.lab.example",
    "AWS_ACCESS_KEY_ID": "AKIAOFTHELAB",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-lab",
    "AWS_SESSION_TOKEN": "token-of-the-lab",
    "AWS_REGION": "eu-west-1",
}
PROFILE = "[reader]\naws_access_key_id = AKIAOFTHEREADER\naws_secret_access_key = secret-of-the-reader\n"
AT_THE_LAB = {
    "vfs.s3.scheme": "http",
    "vfs.s3.endpoint_override": "s3.lab.example",
    "vfs.s3.use_virtual_addressing": "false",
    "vfs.s3.region": "eu-west-1",
    "vfs.s3.verify_ssl": "true",
}


@pytest.fixture
def _no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    move_to(tmp_path / "home", "", monkeypatch)
    forget_aws(monkeypatch, tmp_path)
    (tmp_path / "aws-credentials").write_text(PROFILE)


@pytest.fixture
def public(release: Release) -> Release:
    return replace(release, uri="s3://cellxgene-census-public-us-west-2/cell-census/x/soma/", region="us-west-2")


@pytest.fixture
def private(release: Release) -> Release:
    return replace(release, uri="s3://lab/census", region=None)


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def settings(census: CensusResource, release: Release) -> dict[str, str]:
    """TileDB's settings for the release, as workers get them; one that is empty says that there is none."""
    return {name: value for name, value in census.locator(release).tiledb_config if value}


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


@pytest.mark.usefixtures("_no_aws")
def test_the_public_census_takes_nothing_of_a_labs_own_s3(public: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, LABS_S3)

    assert settings(CensusResource(version="stable"), public) == {
        "vfs.s3.no_sign_request": "true",
        "vfs.s3.region": "us-west-2",
        "vfs.s3.use_virtual_addressing": "true",
        "vfs.s3.verify_ssl": "true",
    }


@pytest.mark.usefixtures("_no_aws")
def test_a_copy_of_the_public_census_is_reached_at_its_own_endpoint_without_keys(
    public: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, LABS_S3 | {"CXG_CENSUS_ENDPOINT_URL": "https://copy.example:9000", "CXG_CENSUS_REGION": "x"})

    config = settings(CensusResource(version="stable"), public)

    assert (
        config.items()
        >= {
            "vfs.s3.endpoint_override": "copy.example:9000",
            "vfs.s3.scheme": "https",
            "vfs.s3.use_virtual_addressing": "false",
            "vfs.s3.no_sign_request": "true",
            "vfs.s3.region": "us-west-2",  # the directory names it
        }.items()
    )


@pytest.mark.usefixtures("_no_aws")
def test_a_profile_for_the_census_signs_its_requests_also_to_a_public_one(
    public: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, LABS_S3 | {"CXG_CENSUS_PROFILE": "reader"})

    config = settings(CensusResource(version="stable"), public)

    assert (
        config.items()
        >= {
            "vfs.s3.no_sign_request": "false",
            "vfs.s3.aws_access_key_id": "AKIAOFTHEREADER",
            "vfs.s3.aws_secret_access_key": "secret-of-the-reader",
            "vfs.s3.region": "us-west-2",
        }.items()
    )
    assert not {"vfs.s3.aws_session_token", "vfs.s3.endpoint_override"} & config.keys()


@pytest.mark.usefixtures("_no_aws")
def test_a_census_by_its_uri_is_reached_as_the_aws_variables_say(
    private: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, LABS_S3)

    assert settings(CensusResource(uri=private.uri), private) == AT_THE_LAB | {
        "vfs.s3.no_sign_request": "false",
        "vfs.s3.aws_access_key_id": "AKIAOFTHELAB",
        "vfs.s3.aws_secret_access_key": "secret-of-the-lab",
        "vfs.s3.aws_session_token": "token-of-the-lab",
    }


@pytest.mark.usefixtures("_no_aws")
def test_what_is_said_of_the_census_goes_before_the_aws_variables(
    private: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"ENDPOINT_URL": "http://census.example", "REGION": "eu-north-1", "PROFILE": "reader"}
    set_all(monkeypatch, LABS_S3 | {f"CXG_CENSUS_{name}": value for name, value in own.items()})
    wanted = AT_THE_LAB | {
        "vfs.s3.endpoint_override": "census.example",
        "vfs.s3.region": "eu-north-1",
        "vfs.s3.no_sign_request": "false",
        "vfs.s3.aws_access_key_id": "AKIAOFTHEREADER",
        "vfs.s3.aws_secret_access_key": "secret-of-the-reader",
    }

    assert settings(CensusResource(uri=private.uri), private) == wanted
    # The resource's own settings go before the variables, and TileDB settings before all.
    census = CensusResource(
        uri=private.uri, endpoint_url="https://other.example", region="x-1", tiledb_config={"vfs.s3.region": "y-1"}
    )
    changed = {"vfs.s3.scheme": "https", "vfs.s3.endpoint_override": "other.example", "vfs.s3.region": "y-1"}
    assert settings(census, private) == wanted | changed


@pytest.mark.usefixtures("_no_aws")
def test_without_keys_a_census_by_its_uri_is_read_anonymously(
    private: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, {name: value for name, value in LABS_S3.items() if name in ("AWS_ENDPOINT_URL", "AWS_REGION")})

    assert settings(CensusResource(uri=private.uri), private) == AT_THE_LAB | {"vfs.s3.no_sign_request": "true"}
    keys = {"vfs.s3.aws_access_key_id": "A", "vfs.s3.aws_secret_access_key": "s"}
    given = settings(CensusResource(uri=private.uri, tiledb_config=keys), private)
    assert given == AT_THE_LAB | keys | {"vfs.s3.no_sign_request": "false"}


@pytest.mark.usefixtures("_no_aws")
@pytest.mark.parametrize(
    ("variables", "fields", "asked", "version"),
    [
        ({}, {}, "demo", ""),
        ({"CXG_CENSUS_VERSION": "stable"}, {}, "stable", "stable"),
        ({"CXG_CENSUS_VERSION": "stable", "CXG_CENSUS_URI": "s3://a/b"}, {}, "s3://a/b", ""),
        ({"CXG_CENSUS_URI": "s3://a/b"}, {"version": "V5"}, "V5", "V5"),
        ({"CXG_CENSUS_VERSION": "stable"}, {"uri": "/census"}, "/census", ""),
    ],
)
def test_what_is_asked_for_goes_before_the_variables_and_a_uri_before_a_version(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], fields: dict[str, Any], asked: str, version: str
) -> None:
    set_all(monkeypatch, variables)
    census = CensusResource(**fields)
    assert (census.asked, census.asked_version) == (asked, version)


@pytest.fixture
def servers(census_uri: str, tmp_path: Path) -> Iterator[tuple[StrictS3, StrictS3]]:
    """An S3 with a private Census and one for chunks; each knows its own keys only."""
    for name in ("census-s3", "store-s3"):
        (tmp_path / name).mkdir()
    with serve_strict_s3(tmp_path / "census-s3") as census_s3, serve_strict_s3(tmp_path / "store-s3") as store_s3:
        census_s3.obey(Rules(keys=(CENSUS_KEY,)))
        upload(Path(census_uri), f"http://{census_s3.endpoint}", "private", "census")
        census_s3.obey(Rules(keys=(CENSUS_KEY,)))
        store_s3.obey(Rules(keys=(STORE_KEY,)))
        yield census_s3, store_s3


@pytest.mark.usefixtures("workers", "_no_aws")
def test_a_private_census_is_read_with_its_keys_and_chunks_are_stored_elsewhere_with_others(
    servers: tuple[StrictS3, StrictS3], spec: Callable[..., SubsetSpec],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    census_s3, store_s3 = servers
    keys = f"aws_access_key_id = {CENSUS_KEY.id}\naws_secret_access_key = {CENSUS_KEY.secret}\n"
    (tmp_path / "aws-credentials").write_text(f"[census]\n{keys}")
    variables = {
        "CXG_CENSUS_URI": "s3://private/census",
        "CXG_CENSUS_ENDPOINT_URL": f"http://{census_s3.endpoint}",
        "CXG_CENSUS_PROFILE": "census",
        "AWS_ENDPOINT_URL": f"http://{store_s3.endpoint}",
        "AWS_ACCESS_KEY_ID": STORE_KEY.id,
        "AWS_SECRET_ACCESS_KEY": STORE_KEY.secret,
        "AWS_SESSION_TOKEN": str(STORE_KEY.token),
        "AWS_REGION": "us-east-1",
    }
    set_all(monkeypatch, variables)
    wanted = spec(value_filter=BLOOD_NORMAL, chunk_size=20, max_obs=40)

    store = StoreResource(url=f"s3://{BUCKET}/cells", s3=S3Resource())
    result = run_ingest(wanted, "", CensusResource(), store, workers=1)

    assert (result.error, result.chunks.n_files, result.chunks.n_failed) == ("", 2, 0)
    for server, key in ((census_s3, CENSUS_KEY), (store_s3, STORE_KEY)):
        asked = server.requests()
        assert {(request.scope.split("/")[0], request.code) for request in asked} == {(key.id, "")}
    assert {request.method for request in census_s3.requests()} <= {"GET", "HEAD"}
    opened = store.locator().open()
    chunks = [path for path in opened.sizes("") if path.endswith(".h5ad")]
    assert len(chunks) == 2
    for path in chunks:
        (tmp_path / "chunk.h5ad").write_bytes(opened.get(path))
        assert anndata.read_h5ad(tmp_path / "chunk.h5ad").uns["cxg_assets"]["census_uri"] == "s3://private/census"
