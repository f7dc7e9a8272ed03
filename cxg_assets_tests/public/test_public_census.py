"""`cxg-assets ingest --census-version stable`: from the public Census into a bucket, and what follows when it moves."""

import io
import re
from collections import Counter
from typing import Any

import anndata
import cellxgene_census
import pytest

from cxg_assets.ingest.census import release_directory
from cxg_assets_tests.cli.command import Outcome, cxg_assets, files_below
from cxg_assets_tests.cli.conftest import SUBSET
from cxg_assets_tests.conftest import BLOOD_NORMAL
from cxg_assets_tests.ingest.verify.test_against_census import assert_equals_the_census
from cxg_assets_tests.public.services import (
    KEY,
    N_CHUNKS,
    N_OBS,
    NEW,
    OLD,
    Finished,
    Machine,
    Services,
)
from cxg_assets_tests.servers.public_census import BUCKET as CENSUS_BUCKET
from cxg_assets_tests.servers.strict_s3 import BUCKET

RAY_LOOKS_FOR_ITS_CLOUD = {
    "http://169.254.169.254/metadata/instance?api-version=2021-12-13",
    "http://metadata.google.internal/computeMetadata/v1",
    "http://169.254.169.254/latest/meta-data/",
}
"""What Ray 2.60 asks when it starts, whatever it is told (`usage_lib.get_cloud_from_metadata_requests`)."""

get_anndata: Any = cellxgene_census.get_anndata
get_obs: Any = cellxgene_census.get_obs
read_h5ad: Any = anndata.read_h5ad  # declared for paths alone

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")


def one_line(outcome: Outcome, exit_code: int) -> str:
    """The one line that a refused command says."""
    assert (outcome.exit_code, outcome.stdout) == (exit_code, ""), outcome.stderr
    [line] = outcome.stderr.splitlines()
    return line


def asserts_refusal_of_moved_stable(line: str) -> None:
    assert line.startswith(f"cxg-assets: census_version: stable is build {NEW} now; {SUBSET} was made from build {OLD}")
    assert f"--census-version {OLD} to continue" in line
    assert f"--census-version {NEW} to build everything from the new one" in line


def test_every_chunk_is_what_the_census_gives_for_stable(finished: Finished, in_service: Services) -> None:
    tiledb_config = in_service.public.tiledb_config
    with cellxgene_census.open_soma(census_version="stable", tiledb_config=tiledb_config) as census:
        chunks = [read_h5ad(io.BytesIO(data)) for data in finished.chunks.values()]
        columns = list(chunks[0].obs.columns)
        obs_of_all = get_obs(census, "homo_sapiens", value_filter=BLOOD_NORMAL, column_names=columns)[:N_OBS]
        assert [cell for chunk in chunks for cell in chunk.obs["soma_joinid"]] == obs_of_all.soma_joinid.tolist()
        for chunk in chunks:
            cells = chunk.obs["soma_joinid"].to_numpy()
            expected = get_anndata(census, "homo_sapiens", obs_coords=cells, obs_column_names=columns)
            assert_equals_the_census(chunk, expected, obs_of_all[columns])
        assert len(columns) == 9


def test_every_chunk_tells_of_the_build_by_the_name_of_the_directory(finished: Finished, in_service: Services) -> None:
    tiledb_config = in_service.public.tiledb_config
    with cellxgene_census.open_soma(census_version=OLD, tiledb_config=tiledb_config) as census:
        rows: Any = census["census_info"]["summary"]
        summary = rows.read().concat().to_pandas().set_index("label")["value"]
    told = {
        "census_build": OLD,
        "census_uri": in_service.public.uri,
        "census_region": "us-west-2",
        "census_schema_version": summary["census_schema_version"],
        "census_flags": "lts",
        "census_total_cell_count": summary["total_cell_count"],
        "census_unique_cell_count": summary["unique_cell_count"],
    }
    assert summary["census_build_date"] != OLD
    assert len(finished.chunks) == N_CHUNKS
    for data in finished.chunks.values():
        uns = read_h5ad(io.BytesIO(data)).uns["cxg_assets"]
        assert told.items() <= dict(uns).items()


def test_the_directory_was_read_once_and_no_other_host_was_asked(finished: Finished) -> None:
    folder = "/cellxgene-census/v1"
    assert finished.asked_of_directory == [f"{folder}/release.json", f"{folder}/mirrors.json"]
    assert finished.refused - RAY_LOOKS_FOR_ITS_CLOUD == set()


def test_the_public_bucket_was_shown_no_keys_and_the_own_one_only_its_own(finished: Finished) -> None:
    assert {(asked.scope, asked.code) for asked in finished.asked_of_census} == {("", "")}
    assert {asked.path.split("/")[1] for asked in finished.asked_of_census} == {CENSUS_BUCKET}
    assert {asked.scope.split("/")[0] for asked in finished.asked} == {KEY.id}
    assert {asked.path.split("/")[1] for asked in finished.asked} == {BUCKET}


def test_everything_lies_at_the_destination(finished: Finished) -> None:
    plan = finished.plan_folder
    others = {re.sub(r"[0-9a-f]{8,}", "#", path) for path in finished.objects if not path.startswith(f"{plan}/")}
    index, subset = f"index/{OLD}-#/homo_sapiens", f"{SUBSET}/subset/#"
    assert others == {
        f"{index}.feather", f"{index}.json", f"{subset}/obs.feather", f"{subset}/var.feather", f"{subset}/subset.json",
        f"{SUBSET}/dataset.json",
    }  # fmt: skip
    files = {path.removeprefix(f"{plan}/") for path in finished.objects.keys() - finished.chunks.keys()}
    assert {name for name in files if "/" not in name} == {
        "plan.parquet", "manifest.parquet", "citations.csv", "measured.parquet", "README.md",
    }  # fmt: skip
    assert not (finished.home / "store").exists()
    assert f"published: s3://{BUCKET}/{finished.prefix}/{SUBSET}/dataset.json" in finished.outcome.stdout


def test_a_chunk_costs_one_put_and_a_few_are_read_again_before_publishing(finished: Finished) -> None:
    of_chunks = [asked for asked in finished.asked if asked.path.endswith(".h5ad")]
    puts, reads = of_chunks[: len(finished.chunks)], of_chunks[len(finished.chunks) :]
    assert sorted(asked.path.removeprefix(f"/{BUCKET}/{finished.prefix}/") for asked in puts) == sorted(finished.chunks)
    assert {(asked.method, asked.status, asked.headers["if-none-match"]) for asked in puts} == {("PUT", 200, "*")}
    # Before publishing some chunks are read again, each once: of so few, all.
    assert sorted(asked.path for asked in reads) == sorted(asked.path for asked in puts)
    assert {(asked.method, asked.status) for asked in reads} <= {("GET", 200), ("GET", 206)}


def test_the_requests_of_a_whole_ingest_are_few_whatever_the_number_of_chunks(finished: Finished) -> None:
    asked = finished.asked
    lists = Counter(found.query["prefix"] for found in asked if "list-type" in found.query)
    # Before the chunk run for the bar, in it, by the dataset, and by its check; of index and subset for their sizes.
    of_files = {prefix: lists.pop(prefix) for prefix in [*lists] if "/index/" in prefix or "/subset/" in prefix}
    assert [(prefix.split("/")[-4:-2], n) for prefix, n in sorted(of_files.items())] == [
        ([SUBSET, "subset"], 1), ([finished.prefix.split("/")[-1], "index"], 1)
    ]  # fmt: skip
    plan, probe = f"{finished.prefix}/{finished.plan_folder}/", f"{finished.prefix}/.cxg-probe-/"
    assert lists == {plan: 4, probe: 2}
    first_chunk = next(number for number, found in enumerate(asked) if found.path.endswith(".h5ad"))
    probes = [number for number, found in enumerate(asked) if "/.cxg-probe-" in found.path and found.status == 412]
    in_chunk_run = [found for found in asked[probes[-1] : first_chunk] if "list-type" in found.query]
    assert (len(probes), in_chunk_run) == (3, [])  # the run lists before it proves the destination
    heads = Counter(re.sub(r"[0-9a-f]{8,}", "#", found.path) for found in asked if found.method == "HEAD")
    # At its end the chunk run sees that its plan is still there.
    of_plan = f"/{BUCKET}/{finished.prefix}/{SUBSET}/#/plan.parquet"
    assert heads == {f"/{BUCKET}/{finished.prefix}/index/{OLD}-#/homo_sapiens.json": 2, of_plan: 1}


def test_when_stable_has_moved_nothing_is_written_and_both_ways_out_are_named(machine: Machine) -> None:
    before, files = machine.objects(), files_below(machine.home)
    machine.services.public.releases["stable"] = NEW

    asserts_refusal_of_moved_stable(one_line(machine.ingest("stable"), 2))

    assert machine.objects() == before
    assert files_below(machine.home).keys() == files.keys()


def test_after_stable_has_moved_the_old_build_goes_on_by_its_name(machine: Machine) -> None:
    before = machine.objects()
    machine.services.public.releases["stable"] = NEW

    outcome = machine.ingest(OLD)

    assert outcome.exit_code == 0, outcome.stderr
    assert f"0 files, 0 observations in 0.0 s ({N_CHUNKS} files already stored, 0 failed)" in outcome.stdout
    assert {path for path, data in machine.objects().items() if before.get(path) != data} <= {
        path for path in before if path.endswith((".json", "manifest.parquet", ".feather"))
    }
    asserts_refusal_of_moved_stable(one_line(machine.ingest("stable"), 2))


def test_the_new_build_by_its_name_makes_a_new_plan_and_leaves_the_old_files(
    workers: None, machine: Machine, finished: Finished
) -> None:
    machine.services.public.releases["stable"] = NEW

    outcome = machine.ingest(NEW)

    assert outcome.exit_code == 0, outcome.stderr
    assert f"{N_CHUNKS} files, {N_OBS} observations" in outcome.stdout
    after = machine.objects()
    pointer = f"{SUBSET}/dataset.json"
    # Both builds are one Census here, so they share a subset, and its JSON tells of the build it was made for last.
    kept = {path: data for path, data in finished.objects.items() if not path.endswith("/subset.json")}
    kept.pop(pointer)
    assert kept.items() <= after.items()
    new_chunks = [data for path, data in after.items() if path.endswith(".h5ad") and path not in kept]
    builds = [read_h5ad(io.BytesIO(data)).uns["cxg_assets"]["census_build"] for data in new_chunks]
    assert builds == [NEW] * N_CHUNKS
    assert after[pointer] != finished.objects[pointer]
    # The alias and the build that is in use are the same again.
    assert machine.ingest("stable").exit_code == 0


def test_a_second_machine_shows_what_is_published_and_makes_nothing_again(second_machine: Machine) -> None:
    status = cxg_assets("status", SUBSET)
    outcome = second_machine.ingest(OLD)
    again = cxg_assets("status", SUBSET)

    assert f"{N_OBS} cells in {N_CHUNKS} chunks" in status.stdout
    assert f"stored {N_CHUNKS}, missing 0, " in status.stdout
    assert f": this plan, {N_OBS} cells" in status.stdout
    assert outcome.exit_code == 0, outcome.stderr
    assert f"0 files, 0 observations in 0.0 s ({N_CHUNKS} files already stored, 0 failed)" in outcome.stdout
    assert f"stored {N_CHUNKS}, missing 0, " in again.stdout


def test_a_second_machine_is_refused_a_stable_that_has_moved(second_machine: Machine) -> None:
    before = second_machine.objects()
    second_machine.services.public.releases["stable"] = NEW

    asserts_refusal_of_moved_stable(one_line(second_machine.ingest("stable"), 2))

    assert second_machine.objects() == before


@pytest.mark.parametrize(
    ("version", "mirror", "says"),
    [
        ("V3", "", "census_version: V3 -> 2024-05-20 was retracted on 2024-06-03: wrong gene lengths ("),
        ("stabel", "", "census_version: there is no release 'stabel'; did you mean stable?"),
        ("V4", "", "census_version: V4 -> 2025-01-30, which the directory of the Census does not list"),
        ("stable", "moon", "census_mirror: there is no mirror 'moon'; choose one of AWS-S3-us-west-2"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_before_anything_is_written(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, version: str, mirror: str, says: str
) -> None:
    monkeypatch.setenv("CXG_CENSUS_MIRROR", mirror)
    monkeypatch.setenv("CXG_HOME", str(machine.home.parent / "untouched"))
    before = machine.objects()

    assert one_line(machine.ingest(version), 2).startswith(f"cxg-assets: {says}")

    assert machine.objects() == before
    assert not (machine.home.parent / "untouched").exists()


def test_a_directory_that_cannot_be_reached_is_no_bad_input(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_directory, "BACKOFF_S", 0.0)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    before = machine.objects()

    line = one_line(machine.ingest("stable"), 1)

    assert line.startswith("cxg-assets: census_version: https://census.cellxgene.cziscience.com/")
    assert "no answer" in line
    assert "or give the URI of a Census instead (CXG_CENSUS_URI)" in line
    assert machine.objects() == before
