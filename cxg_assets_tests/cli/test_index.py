"""`cxg-assets index`: the obs metadata as `cellxgene_census.get_obs` returns it."""

import json
from pathlib import Path
from typing import Any

import cellxgene_census
import pandas as pd
import pytest
import tiledbsoma as soma

from cxg_assets_tests.cli.command import cxg_assets, declare, files_below

BLOOD = "tissue_general == 'blood' and is_primary_data == True"
COLUMNS = ["soma_joinid", "cell_type", "disease", "donor_id", "nnz", "is_primary_data"]


def expected_obs(census: soma.Collection, organism: str, value_filter: str | None, columns: list[str]) -> Any:
    # get_obs also returns the columns of the filter.
    return cellxgene_census.get_obs(census, organism, value_filter=value_filter, column_names=columns)[columns]


def test_the_index_is_what_get_obs_returns_with_the_filter(home: Path, census: soma.Collection, tmp_path: Path) -> None:
    output = tmp_path / "blood.feather"
    outcome = cxg_assets("index", "homo_sapiens", str(output), "--value-filter", BLOOD, "--columns", ", ".join(COLUMNS))
    assert outcome.exit_code == 0, outcome.stderr
    expected = expected_obs(census, "homo_sapiens", BLOOD, COLUMNS)
    pd.testing.assert_frame_equal(pd.read_feather(output), expected)
    assert f"{output}: {len(expected):,} cells of homo_sapiens, Census build " in outcome.stdout


def test_without_filter_and_columns_the_index_is_all_of_obs(
    home: Path, census: soma.Collection, tmp_path: Path
) -> None:
    output = tmp_path / "mouse.feather"
    outcome = cxg_assets("index", "mus_musculus", str(output))
    assert outcome.exit_code == 0, outcome.stderr
    columns = list(census["census_data"]["mus_musculus"].obs.schema.names)
    pd.testing.assert_frame_equal(pd.read_feather(output), expected_obs(census, "mus_musculus", None, columns))


def test_the_census_uri_option_wins_over_the_environment(
    home: Path, old_census_uri: str, old_census: soma.Collection, tmp_path: Path
) -> None:
    output = tmp_path / "old.feather"
    cxg_assets("index", "homo_sapiens", str(output), "--census-uri", old_census_uri, "--columns", "soma_joinid")
    n_obs = len(expected_obs(old_census, "homo_sapiens", None, ["soma_joinid"]))
    assert len(pd.read_feather(output)) == n_obs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--value-filter", "tissu == 'blood'"), "value_filter: `tissu == 'blood'` at column 1 names the column"),
        (("--columns", "cell_type,cell_typ"), "columns: obs has no cell_typ; it has soma_joinid, "),
    ],
)
def test_a_mistake_is_found_before_the_index_is_made(
    home: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    outcome = cxg_assets("index", "homo_sapiens", str(tmp_path / "x.feather"), *arguments)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"cxg-assets: {message}")
    assert list(tmp_path.iterdir()) == []


def test_an_organism_that_the_census_does_not_have_is_named(home: Path, census_uri: str, tmp_path: Path) -> None:
    outcome = cxg_assets("index", "danio_rerio", str(tmp_path / "x.feather"))
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"cxg-assets: organism: census {census_uri} has no 'danio_rerio'; it has homo_sapiens, mus_musculus\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_that_is_not_there_is_named(home: Path, tmp_path: Path) -> None:
    outcome = cxg_assets("index", "homo_sapiens", str(tmp_path / "nowhere" / "x.feather"))
    assert outcome.exit_code == 2
    assert outcome.stderr == f"cxg-assets: output: {tmp_path / 'nowhere'} is not a folder; create it first\n"
    assert list(tmp_path.iterdir()) == []


CHOSEN = {
    "value_filter": "is_primary_data == True",
    "sample": {"by": "cell_type", "at_least": 20},
    "split": {"by": "donor_id", "shares": {"train": 0.7, "test": 0.3}},
    "chunk_size": 150,
}


def test_a_count_tells_what_the_ingest_makes_of_a_sample_and_a_split(
    home: Path, defs: Path, census: soma.Collection
) -> None:
    declare(defs, **CHOSEN)
    columns = ["soma_joinid", "cell_type", "donor_id", "dataset_id"]
    obs = expected_obs(census, "homo_sapiens", "is_primary_data == True", columns)
    obs = obs[obs.groupby("cell_type", observed=True).soma_joinid.transform("size") >= 20]

    counted = cxg_assets("count", "sample", "--json")
    told = cxg_assets("count", "sample")

    assert (counted.exit_code, told.exit_code) == (0, 0), counted.stderr + told.stderr
    found = json.loads(counted.stdout)
    assert found["n_obs"] == len(obs)
    assert found["n_distinct"] == {name: obs[name].nunique() for name in ("donor_id", "dataset_id", "cell_type")}
    assert sum(found["parts"].values()) == len(obs)
    assert told.stdout.startswith(f"sample: {len(obs):,} cells of homo_sapiens, ")
    assert f"  test: {found['parts']['test']:,} cells, " in told.stdout
    assert not (home / "store" / "sample").exists()
    made = cxg_assets("ingest", "sample", "-p", "local")
    assert made.exit_code == 0, made.stderr
    [manifest] = (home / "store" / "sample").rglob("manifest.parquet")
    rows = pd.read_parquet(manifest)
    assert rows.groupby("split").n_obs.sum().to_dict() == found["parts"]
    assert len(rows) == found["n_files"]
    assert rows.n_bytes.sum() == pytest.approx(found["n_bytes"], rel=0.2)


def test_a_count_is_of_the_cells_before_their_quality_and_says_so(home: Path, defs: Path) -> None:
    quality = {"columns": {"mt_share": {"share": {"feature_name": "MT-*"}}}, "keep": "mt_share < 0.05"}
    declare(defs, value_filter="is_primary_data == True", max_obs=70, quality=quality)

    told = cxg_assets("count", "sample")

    assert told.exit_code == 0, told.stderr
    assert told.stdout.startswith("sample: 70 cells of homo_sapiens, ")
    assert "  before quality, which leaves out some of them: it is known when X/raw of all was read\n" in told.stdout


def test_a_dry_run_counts_with_the_options_of_the_ingest_and_writes_no_chunk(home: Path, defs: Path) -> None:
    declare(defs, value_filter="is_primary_data == True")
    asked = ("ingest", "sample", "--max-obs", "90", "--chunk-size", "40", "-d", "1", "--value-filter", BLOOD)

    told = cxg_assets(*asked, "--dry-run")

    assert told.exit_code == 0, told.stderr
    assert told.stdout.startswith("sample: 90 cells of homo_sapiens, ")
    assert "  about 3 files, " in told.stdout
    assert " with 1 worker here" in told.stdout
    assert {path.partition("/")[0] for path in files_below(home / "store")} == {"index"}
