"""Release names lead to the same place as with cellxgene_census; what leads nowhere is told in one line."""

import contextlib
import subprocess
import sys
from typing import Any

import cellxgene_census
import pytest
import requests
from cellxgene_census import _open as reference

import cxg_assets
from cxg_assets.ingest.census import release_directory as directory
from cxg_assets.ingest.census.release_directory import ReleaseAddress, resolve_release
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets_tests.servers.public_census import MIRROR, RETRACTED, PublicCensus
from cxg_assets_tests.servers.release_directory import Answer

RELEASE_JSON = f"{directory.DIRECTORY_URL}release.json"
MIRRORS_JSON = f"{directory.DIRECTORY_URL}mirrors.json"


def bad_input(name: str, mirror: str = "") -> str:
    with pytest.raises(BadInput) as caught:
        resolve_release(name, mirror)
    return one_line(caught.value)


def failure(name: str = "stable", mirror: str = "") -> str:
    """For what is no mistake of the user."""
    with pytest.raises(CxgError) as caught:
        resolve_release(name, mirror)
    assert not isinstance(caught.value, BadInput)
    return one_line(caught.value)


def one_line(error: Exception) -> str:
    assert "\n" not in str(error)
    return str(error)


def test_an_alias_leads_over_others_to_a_build(public: PublicCensus) -> None:
    assert resolve_release("stable") == ReleaseAddress(
        name="stable", build="2025-11-08", uri=public.uri, region="us-west-2", flags=("lts",)
    )
    assert resolve_release("V5").build == "2025-11-08"


def test_a_build_is_no_alias_and_has_the_flags_that_are_true(public: PublicCensus) -> None:
    build = resolve_release("2025-11-17")

    assert build == ReleaseAddress(name="2025-11-17", build="2025-11-17", uri=public.uri, region="us-west-2", flags=())


def test_each_file_is_asked_for_once_and_nothing_else(public: PublicCensus) -> None:
    resolve_release("latest")

    assert [asked.path for asked in public.asked] == [
        "/cellxgene-census/v1/release.json",
        "/cellxgene-census/v1/mirrors.json",
    ]
    assert {asked.user_agent for asked in public.asked} == {f"cxg_assets/{cxg_assets.__version__}"}
    assert public.refused == []
    assert not public.s3_requests()


def test_every_name_leads_where_the_library_goes(public: PublicCensus) -> None:
    public.releases["2022-12-01"] = {  # as before relative URIs
        "release_build": "2022-12-01",
        "soma": {"uri": "s3://old-bucket/cell-census/2022-12-01/soma/", "s3_region": "eu-west-1"},
    }
    public.releases["absolute"] = {"soma": {"relative_uri": "s3://other/soma/"}}
    public.releases["no-slash"] = {"soma": {"relative_uri": "builds/soma"}}
    public.mirrors["folder"] = {"provider": "S3", "base_uri": "s3://bucket/a/b/", "region": "eu-north-1"}
    known = cellxgene_census.get_census_version_directory()
    mirrors = cellxgene_census.get_census_mirror_directory()

    assert {"stable", "V5", "latest", "2025-11-08", "2025-11-17", "2022-12-01", "absolute", "no-slash"} == set(known)
    assert set(mirrors) == {MIRROR, "folder"}
    for name, description in known.items():
        for mirror in mirrors:
            expected = reference._resolve_census_locator(description["soma"], mirrors[mirror])
            address = resolve_release(name, mirror)
            assert (address.uri, address.region) == (expected["uri"], expected["region"]), (name, mirror)


def test_the_library_opens_the_stand_in_unmodified(public: PublicCensus, census: Any) -> None:
    with cellxgene_census.open_soma(census_version="stable", tiledb_config=public.tiledb_config) as opened:
        assert opened.uri == resolve_release("stable").uri
        human = opened["census_data"]["homo_sapiens"]
        assert human.obs.count == census["census_data"]["homo_sapiens"].obs.count

    assert public.s3_requests()
    assert public.refused == []


def test_a_process_of_its_own_finds_the_stand_in_by_its_environment(public: PublicCensus) -> None:
    names = "from cxg_assets.ingest.census.release_directory import resolve_release"

    run = subprocess.run(
        [sys.executable, "-c", f"{names}; print(resolve_release('stable').uri)"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert run.stdout.strip() == public.uri


def test_the_bucket_of_the_stand_in_can_be_read_but_not_written_by_anybody(public: PublicCensus) -> None:
    url = f"{public.endpoint_url}/{public.bucket}"

    listed = requests.get(url, params={"list-type": "2", "max-keys": "1"}, timeout=10)
    key = listed.text.partition("<Key>")[2].partition("</Key>")[0]

    assert requests.get(f"{url}/{key}", timeout=10).status_code == 200
    assert requests.put(f"{url}/{key}", b"changed", timeout=10).status_code == 403
    assert requests.put(f"{url}/new", b"new", timeout=10).status_code == 403
    assert requests.delete(f"{url}/{key}", timeout=10).status_code == 403
    assert requests.get(f"{url}/new", timeout=10).status_code == 404


@pytest.mark.parametrize(
    "url", ["https://example.org/", "http://example.org/", "https://census.cellxgene.cziscience.com:80/"]
)
def test_the_proxy_of_the_stand_in_leads_nowhere_else(public: PublicCensus, url: str) -> None:
    with contextlib.suppress(requests.exceptions.ProxyError):
        assert requests.get(url, timeout=10).status_code == 403

    assert len(public.refused) == 1


def test_an_unknown_release_is_told_with_all_there_are(public: PublicCensus) -> None:
    assert bad_input("mine") == (
        "census_version: there is no release 'mine'; choose one of stable, latest, V5, 2025-11-17, 2025-11-08"
    )


@pytest.mark.parametrize(
    ("name", "meant"), [("stabel", "stable"), ("v5", "V5"), ("2025-11-07", "2025-11-17 or 2025-11-08")]
)
def test_a_name_that_is_nearly_right_is_asked_back(public: PublicCensus, name: str, meant: str) -> None:
    assert f"there is no release {name!r}; did you mean {meant}? " in bad_input(name)


def test_an_alias_of_a_release_that_is_gone_is_named_with_the_way_there(public: PublicCensus) -> None:
    public.releases["stable"] = "V4"

    message = bad_input("stable")

    assert message.startswith(
        "census_version: stable -> V4 -> 2025-01-30, which the directory of the Census does not list;"
    )
    assert message.endswith("choose one of latest, V5, 2025-11-17, 2025-11-08")


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"stable": "V5", "V5": "stable"}, "stable -> V5 -> stable"),
        ({"stable": "stable"}, "stable -> stable"),
        ({"stable": "V5", "V5": "V6", "V6": "V5"}, "stable -> V5 -> V6 -> V5"),
    ],
)
def test_aliases_that_lead_in_a_circle_are_named(public: PublicCensus, entries: dict[str, str], told: str) -> None:
    public.releases.update(entries)

    assert bad_input("stable").startswith(f"census_version: {told} is a circular alias; choose one of latest, ")


def test_a_retracted_release_is_refused_with_its_reason_and_successor(public: PublicCensus) -> None:
    assert bad_input(RETRACTED) == (
        "census_version: 2024-05-20 was retracted on 2024-06-03: wrong gene lengths "
        "(https://example.org/errata/2024-05-20); use 2025-11-08 instead"
    )
    assert bad_input("V3").startswith("census_version: V3 -> 2024-05-20 was retracted on 2024-06-03")


@pytest.mark.parametrize(
    "retraction", [None, {}, {"date": None, "reason": None, "info_url": None, "replaced_by": None}]
)
def test_a_retraction_that_tells_nothing_is_refused_all_the_same(public: PublicCensus, retraction: Any) -> None:
    public.releases[RETRACTED]["retraction"] = retraction

    assert bad_input("V3") == (
        "census_version: V3 -> 2024-05-20 was retracted; choose one of stable, latest, V5, 2025-11-17, 2025-11-08"
    )


def test_a_reason_of_many_lines_becomes_one(public: PublicCensus) -> None:
    public.releases[RETRACTED]["retraction"]["reason"] = "wrong\n  gene\nlengths"

    assert ": wrong gene lengths (" in bad_input(RETRACTED)


def test_another_mirror_has_its_own_place_and_region(public: PublicCensus) -> None:
    public.mirrors["here"] = {"provider": "S3", "base_uri": "s3://ours/", "region": "eu-west-1"}

    address = resolve_release("stable", "here")

    assert (address.uri, address.region) == ("s3://ours/cell-census/2025-11-08/soma/", "eu-west-1")


@pytest.mark.parametrize("name", ["elsewhere", "default"])
def test_an_unknown_mirror_is_told_with_all_there_are(public: PublicCensus, name: str) -> None:
    assert bad_input("stable", name) == f"census_mirror: there is no mirror {name!r}; choose one of {MIRROR}"


def test_a_mirror_that_is_not_in_s3_asks_for_an_upgrade(public: PublicCensus) -> None:
    public.mirrors["new"] = {"provider": "GCS", "base_uri": "gs://ours/", "region": None}

    assert bad_input("stable", "new") == (
        "census_mirror: new has the unknown provider 'GCS'; upgrade cxg_assets, or choose one of AWS-S3-us-west-2, new"
    )


def test_a_default_mirror_that_is_gone_is_named(public: PublicCensus) -> None:
    public.mirrors["default"] = "gone"

    assert bad_input("stable") == (
        f"census_mirror: the default mirror gone is not in the directory of the Census; choose one of {MIRROR}"
    )
    assert resolve_release("stable", MIRROR).uri == public.uri


@pytest.mark.parametrize(
    ("description", "told"),
    [
        (None, "'2025-11-08' is not an object"),
        ([], "'2025-11-08' is not an object"),
        ({}, "2025-11-08: no 'soma'"),
        ({"soma": "s3://bucket/soma/"}, "2025-11-08: 'soma' is not an object"),
        ({"soma": {}}, "2025-11-08: soma: no 'uri'"),
        ({"soma": {"uri": 5}}, "2025-11-08: soma: 'uri' is not a text"),
        ({"soma": {"relative_uri": ["soma"]}}, "2025-11-08: soma: 'relative_uri' is not a text"),
        ({"soma": {"uri": "s3://bucket/", "s3_region": 5}}, "2025-11-08: soma: 's3_region' is not a text"),
        ({"soma": {"uri": "s3://bucket/"}, "flags": ["lts"]}, "2025-11-08: 'flags' is not an object"),
        ({"flags": {"retracted": True}, "retraction": "yes"}, "2025-11-08: 'retraction' is not an object"),
    ],
)
def test_a_release_without_what_is_needed_is_named_with_the_key(
    public: PublicCensus, description: Any, told: str
) -> None:
    public.releases["2025-11-08"] = description

    message = failure()

    assert message.startswith(f"census_version: {RELEASE_JSON}: {told}; the directory has changed: upgrade cxg_assets")


@pytest.mark.parametrize(
    ("mirrors", "told"),
    [
        ({}, "no 'default'"),
        ({"default": 5}, "'default' is not a text"),
        ({"default": "A", "A": "s3://bucket/"}, "'A' is not an object"),
        ({"default": "A", "A": {"base_uri": "s3://bucket/", "region": "us-west-2"}}, "A: no 'provider'"),
        ({"default": "A", "A": {"provider": "S3", "region": "us-west-2"}}, "A: no 'base_uri'"),
        ({"default": "A", "A": {"provider": "S3", "base_uri": "s3://bucket/"}}, "A: no 'region'"),
    ],
)
def test_a_mirror_without_what_is_needed_is_named_with_the_key(
    public: PublicCensus, mirrors: dict[str, Any], told: str
) -> None:
    public.mirrors.clear()
    public.mirrors.update(mirrors)

    assert failure().startswith(f"census_mirror: {MIRRORS_JSON}: {told};")


@pytest.mark.parametrize("entries", [{"A": "B", "B": "A"}, {"A": "B"}, {"A": None}, {"A": {"flags": "lts"}}])
def test_what_is_wrong_with_other_releases_does_no_harm(public: PublicCensus, entries: dict[str, Any]) -> None:
    public.releases.update(entries)

    assert resolve_release("stable").build == "2025-11-08"


@pytest.mark.parametrize("file", ["release.json", "mirrors.json"])
def test_a_directory_that_cannot_be_read_is_told_with_another_way(public: PublicCensus, file: str) -> None:
    public.directory.answers[file] = [Answer(status=404)]

    assert failure() == (
        f"census_version: {directory.DIRECTORY_URL}{file}: HTTP status 404; try again later, "
        "or give the URI of a Census instead (CXG_CENSUS_URI)"
    )
