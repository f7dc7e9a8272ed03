"""`cxg-assets ingest`: from a Census to a published dataset, what it says of it, and what its options override."""

import json
import re
import shutil
from pathlib import Path

import anndata
import pyarrow.parquet as pq
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.quantities import size
from cxg_assets_tests.cli.command import cxg_assets, files_below
from cxg_assets_tests.cli.conftest import CHUNK_SIZE, SUBSET, Finished
from cxg_assets_tests.conftest import BLOOD_NORMAL, FRAGMENT_EDGE
from cxg_assets_tests.damage import damage_fragment

SUMMARY_KEYS = {
    "n_obs",
    "n_files",
    "n_skipped",
    "n_failed",
    "total_bytes",
    "mean_file_bytes",
    "ingest_seconds",
    "total_seconds",
    "cells_per_second",
    "hours_per_million_obs",
    "workers",
    "retries",
    "workers_lost",
    "launches",
    "cpu_seconds",
    "bytes_read",
    "read_requests",
    "write_requests",
    "driver_cpu_seconds",
    "dataset_uri",
}


def n_cells(census: soma.Collection, value_filter: str) -> int:
    """Human cells of the Census that pass a filter."""
    obs = census["census_data"]["homo_sapiens"].obs
    return len(obs.read(value_filter=value_filter, column_names=["soma_joinid"]).concat())


def chunk_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.h5ad"))


def test_the_summary_for_machines_has_exactly_the_documented_keys(finished: Finished) -> None:
    assert set(finished.summary) == SUMMARY_KEYS


def test_the_summary_counts_what_lies_in_the_store(finished: Finished, census: soma.Collection) -> None:
    summary, files = finished.summary, chunk_files(finished.home / "store")
    sizes = [file.stat().st_size for file in files]
    assert summary["n_obs"] == n_cells(census, BLOOD_NORMAL) > 2 * CHUNK_SIZE
    assert summary["n_files"] == len(files) == -(-summary["n_obs"] // CHUNK_SIZE)
    assert summary["total_bytes"] == sum(sizes)
    assert summary["mean_file_bytes"] == pytest.approx(sum(sizes) / len(sizes))
    assert (summary["n_skipped"], summary["n_failed"], summary["retries"]) == (0, 0, 0)


def test_the_speeds_of_the_summary_fit_its_counts(finished: Finished) -> None:
    summary = finished.summary
    assert 0 < summary["ingest_seconds"] < summary["total_seconds"]
    assert summary["cells_per_second"] == pytest.approx(summary["n_obs"] / summary["ingest_seconds"])
    assert summary["hours_per_million_obs"] == pytest.approx(1e6 / summary["cells_per_second"] / 3600)


def test_without_d_there_is_a_worker_for_each_cpu_of_ray(finished: Finished) -> None:
    assert finished.summary["workers"] == 2


def test_the_dataset_is_published_where_the_summary_says(finished: Finished) -> None:
    uri = finished.summary["dataset_uri"]
    assert uri == (finished.home / "store" / SUBSET / "dataset.json").as_uri()
    dataset = json.loads(Path(uri.removeprefix("file://")).read_text())
    assert dataset["header"]["subset"]["n_obs"] == finished.summary["n_obs"]
    assert dataset["header"]["subset"]["selection"]["value_filter"] == BLOOD_NORMAL


def test_the_closing_lines_tell_people_the_same(finished: Finished) -> None:
    summary, said = finished.summary, finished.outcome.stdout
    assert f"{summary['n_files']:,} files, {summary['n_obs']:,} observations" in said
    assert f"{summary['cells_per_second']:,.0f} cells/s" in said
    assert f"{summary['hours_per_million_obs']:.3f} hours per 1M observations" in said
    assert f"{size(summary['mean_file_bytes'])} a file on average" in said
    assert f"published: {summary['dataset_uri']}" in said


def test_in_a_pipe_progress_is_the_lines_of_the_runs_log(finished: Finished) -> None:
    first, *others = finished.outcome.stderr.splitlines()
    n_files, line = finished.summary["n_files"], rf"{SUBSET}: \d of %d chunks, [\d,]+ cells/s, [\d.]+ s left"
    assert [text for text in (first, *others) if not re.fullmatch(line % n_files, text)] == []
    assert first.startswith(f"{SUBSET}: 1 of ")


def test_a_second_run_makes_nothing_and_says_so(finished: Finished, finished_home: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in chunk_files(finished_home)}
    outcome = cxg_assets("ingest", SUBSET, "-c", str(CHUNK_SIZE), "--json", str(tmp_path / "again.json"))
    summary = json.loads((tmp_path / "again.json").read_text())
    n_files = finished.summary["n_files"]
    assert outcome.exit_code == 0
    assert set(summary) == SUMMARY_KEYS
    assert (summary["n_files"], summary["n_skipped"], summary["n_obs"]) == (0, n_files, 0)
    assert (summary["cells_per_second"], summary["mean_file_bytes"]) == (0, 0)
    assert f"({n_files} files already stored, 0 failed)" in outcome.stdout
    assert {path: path.stat().st_mtime_ns for path in chunk_files(finished_home)} == before


def test_a_run_makes_only_the_file_that_is_missing(finished_home: Path, tmp_path: Path) -> None:
    lost = chunk_files(finished_home)[1]
    data = lost.read_bytes()
    lost.unlink()
    outcome = cxg_assets("ingest", SUBSET, "-c", str(CHUNK_SIZE), "--json", str(tmp_path / "again.json"))
    summary = json.loads((tmp_path / "again.json").read_text())
    assert outcome.exit_code == 0
    assert (summary["n_files"], summary["n_obs"]) == (1, CHUNK_SIZE)
    assert lost.read_bytes() == data


def test_every_option_overrides_the_yaml(
    home: Path, census: soma.Collection, census_uri: str, workers: None, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("CXG_CENSUS_URI", str(tmp_path / "nowhere"))
    destination = tmp_path / "else where"
    genes = ["ENSG00000167286", "ENSG00000090382", "ENSG00000081237"]
    lupus = "tissue_general == 'blood' and disease == 'systemic lupus erythematosus'"
    outcome = cxg_assets(
        "ingest", SUBSET, "-n", "70", "-c", "40", "-d", "1", "--gene-filter", ", ".join(genes), "--value-filter", lupus,
        "--destination", destination.as_uri(), "--census-uri", census_uri, "--json", str(tmp_path / "summary.json"),
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["n_obs"], summary["n_files"], summary["workers"]) == (70, 2, 1)
    assert summary["dataset_uri"] == f"{destination.as_uri()}/{SUBSET}/dataset.json"
    first, second = (anndata.read_h5ad(file) for file in chunk_files(destination))
    assert (first.n_obs, second.n_obs) == (40, 30)
    assert set(first.var["feature_id"]) == set(genes)
    obs = census["census_data"]["homo_sapiens"].obs
    selected = obs.read(value_filter=lupus, column_names=["soma_joinid"]).concat()["soma_joinid"].to_pylist()
    assert [*first.obs["soma_joinid"], *second.obs["soma_joinid"]] == sorted(selected)[:70]
    # Chunks, subset and plan are at the destination; the index, which other subsets share, is in the default store.
    assert {path.split("/")[0] for path in files_below(home / "store")} == {"index"}


def test_the_manifest_lists_the_files_that_lie_there(finished: Finished) -> None:
    [manifest] = (finished.home / "store").rglob("manifest.parquet")
    rows = pq.read_table(manifest).to_pylist()
    assert [row["n_bytes"] for row in rows] == [file.stat().st_size for file in chunk_files(finished.home / "store")]
    assert sum(row["n_obs"] for row in rows) == finished.summary["n_obs"]


def test_chunks_that_cannot_be_read_are_named_and_the_others_land(
    home: Path, census_uri: str, workers: None, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(census_uri, damaged)
    damage_fragment(damaged, 1)  # the cells from FRAGMENT_EDGE on
    outcome = cxg_assets(
        "ingest", SUBSET, "--census-uri", str(damaged), "--value-filter", "nnz >= 0", "--chunk-size", "650",
        "--workers", "1", "--gene-filter", "ENSG00000167286,ENSG00000090382", "--json", str(tmp_path / "summary.json"),
    )  # fmt: skip
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert outcome.exit_code == 1
    assert (summary["n_files"], summary["n_failed"], summary["n_obs"]) == (2, 2, FRAGMENT_EDGE)
    [error] = [line for line in outcome.stderr.splitlines() if line.startswith("cxg-assets: ")]
    assert error.startswith("cxg-assets: 2 of 4 chunks failed: 00002, 00003. The first: cannot read cells ")
    assert error.endswith("The others are stored; run again to write only these")
    assert [file.name[:5] for file in chunk_files(home)] == ["00000", "00001"]
    assert summary["dataset_uri"] == ""
    assert not (home / "store" / SUBSET / "dataset.json").exists()
