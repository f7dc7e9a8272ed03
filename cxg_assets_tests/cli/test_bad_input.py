"""The table of bad input: exit code 2, one clear error on stderr, and nothing written, not even a Dagster instance.

Each error says what is wrong, where, and what to do.
"""

import contextlib
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiledbsoma as soma

from cxg_assets.cli import main, run, told
from cxg_assets.cli.told import tell_error
from cxg_assets.ingest.plan import making, preflight
from cxg_assets_tests.cli.command import Outcome, cxg_assets, declare, declare_text

UNKNOWN_GENES = [f"ENSG9999999999{number}" for number in range(7)]


@pytest.fixture
def refused(home: Path, defs: Path, tmp_path: Path) -> Callable[..., str]:
    """A function: ingests the subset `sample`, which must be refused, and returns the error."""

    def run(*options: str) -> str:
        before = set(tmp_path.rglob("*"))
        outcome = cxg_assets("ingest", "sample", *options)
        assert set(tmp_path.rglob("*")) == before
        return the_error(outcome)

    return run


def the_error(outcome: Outcome) -> str:
    """The one line on stderr, without the command's name; nothing else was said."""
    assert outcome.exit_code == 2, outcome.stderr
    assert outcome.stdout == ""
    [line] = outcome.stderr.splitlines()
    assert line.startswith("cxg-assets: ")
    return line.removeprefix("cxg-assets: ")


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        (
            {"organism": "danio_rerio"},
            ["organism: census ", " has no 'danio_rerio'; it has homo_sapiens, mus_musculus"],
        ),
        (
            {"organism": "pan_troglodytes", "modality": "census_spatial_sequencing"},
            ["organism: census ", " has no 'pan_troglodytes' in census_spatial_sequencing; it has homo_sapiens, mus_"],
        ),
        (
            {"value_filter": "tissue == 'blood' and"},
            [
                "value_filter: the filter does not parse at column 22, at the end",
                "Write conditions like tissue_general",
            ],
        ),
        (
            {"value_filter": "tissu_general == 'blood'"},
            [
                "value_filter: ",
                "names the column 'tissu_general', which is not there",
                "Did you mean tissue_general? ",
                ", cell_type, ",
            ],
        ),
        (
            {"value_filter": "nnz == 'many'"},
            ["value_filter: ", "compares 'nnz', a column of int64, with 'many', which is text", "Remove the quotes"],
        ),
        (
            {"value_filter": "is_primary_data == 'yes'"},
            ["value_filter: ", "compares 'is_primary_data', a column of bool, with 'yes', which is text"],
        ),
        (
            {"value_filter": "tissue_general == 'blod'"},
            ["value_filter: no cell of 2,600 homo_sapiens cells passes", "'blod'", "(the nearest: 'blood')"],
        ),
        (
            {"value_filter": "dataset_id in file('train.txt')"},
            ["defs.yaml:", "value_filter: cannot read ", "train.txt: No such file or directory"],
        ),
        (
            {"value_filter": "dataset_id in file('../other.txt')"},
            ["defs.yaml:", "value_filter: '../other.txt' is outside of the folder of its YAML"],
        ),
        (
            {"obs_columns": ["cell_type", "celltype"]},
            ["obs_columns: obs has no celltype; it has soma_joinid, ", "cell_type"],
        ),
        (
            {"genes": {"feature_ids": UNKNOWN_GENES}},
            [
                f"genes.feature_ids: 7 of 7 are not in var of this Census: {', '.join(UNKNOWN_GENES[:5])} and 2 more",
                "give feature_id or feature_name values as var has them, or take them out",
            ],
        ),
        (
            {"genes": {"feature_type": "protein"}},
            ["genes.feature_type: no gene has feature_type 'protein' (the nearest: 'protein_coding')"],
        ),
        (
            {"genes": {"highly_variable": {"n_top_genes": 9, "batch": ["dataset_id", "lane"]}}},
            ["genes.highly_variable.batch: obs has no lane; it has soma_joinid, "],
        ),
        (
            {"genes": {"value_filter": "nnz > 1000000000"}},
            ["genes.value_filter: no gene of ", " passes 'nnz > 1000000000'; loosen it"],
        ),
    ],
)
def test_a_subset_that_does_not_fit_the_census_is_refused(
    refused: Callable[..., str], defs: Path, attributes: dict[str, Any], says: list[str]
) -> None:
    declare(defs, **attributes)
    error = refused()
    assert [part for part in says if part not in error] == [], error


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--chunk-size", "0"], "chunk_size: 0 is not a positive whole number"),
        (["--chunk-size", "-5"], "chunk_size: -5 is not a positive whole number"),
        (["--max-obs", "0"], "max_obs: 0 is not a positive whole number"),
        (["--max-obs", "-1"], "max_obs: -1 is not a positive whole number"),
        (["--value-filter", "  "], "value_filter: the filter is empty; leave it out to keep every cell"),
        (["--gene-filter", " , "], "genes.feature_ids: the list is empty; leave genes out to keep all genes"),
        (["--gene-filter", "CD3D;CD4"], "genes.feature_ids: 'CD3D;CD4' is not a feature_id (like ENSG00000081237)"),
        (
            ["--gene-filter", "CD3DD,ENSG00000167286"],
            "genes.feature_ids: 1 of 2 are not in var of this Census: CD3DD; "
            "give feature_id or feature_name values as var has them, or take them out",
        ),
        (
            ["--gene-filter", "CD3D,ENSG00000167286.7"],
            "genes.feature_ids: listed twice: CD3D, ENSG00000167286.7; list each gene once",
        ),
        (
            ["--destination", "gs://bucket/x"],
            "destination: 'gs://bucket/x' is not supported; give s3://bucket/prefix or the path of a folder",
        ),
        (
            ["--destination", "/"],
            "destination: 'file:///' is the root of this machine, not a folder in it; "
            "give s3://bucket/prefix or the path of a folder",
        ),
        (["--json", "/nowhere/summary.json"], "--json: /nowhere is not a folder; create it first"),
    ],
)
def test_an_option_with_a_wrong_value_is_refused(
    refused: Callable[..., str], defs: Path, options: list[str], says: str
) -> None:
    declare(defs)
    assert refused(*options) == says


@pytest.mark.parametrize(
    ("workers", "says"),
    [
        ("0", "Error: Invalid value for '-d' / '--workers': 0 is not in the range x>=1."),
        ("-2", "Error: Invalid value for '-d' / '--workers': -2 is not in the range x>=1."),
        ("many", "Error: Invalid value for '-d' / '--workers': 'many' is not a valid integer range."),
    ],
)
def test_workers_that_are_not_a_positive_number_are_refused(home: Path, defs: Path, workers: str, says: str) -> None:
    declare(defs)
    outcome = cxg_assets("ingest", "sample", "--workers", workers)
    assert outcome.exit_code == 2
    # click shows the usage before its errors.
    assert [line for line in outcome.stderr.splitlines() if "rror" in line] == [says]
    assert not home.exists()


def test_more_chunks_than_dagster_recommends_are_refused_with_the_size_that_fits(
    refused: Callable[..., str], defs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A census of 100,001 cells would take minutes to build.
    monkeypatch.setattr(making, "MAX_CHUNKS", 100)
    monkeypatch.setattr(preflight, "MAX_CHUNKS", 100)
    declare(defs, value_filter=None)
    assert refused("--chunk-size", "10") == (
        "chunk_size: 10 makes 260 chunks of 2,600 cells, more than the 100 that Dagster recommends; "
        "a chunk_size of 26 or more fits"
    )


def test_a_destination_that_cannot_be_written_is_refused(
    refused: Callable[..., str], defs: Path, tmp_path: Path
) -> None:
    declare(defs)
    (tmp_path / "file").write_text("not a folder")
    error = refused("--destination", (tmp_path / "file" / "store").as_uri())
    assert error == f"destination: {tmp_path / 'file' / 'store'} cannot be written: Not a directory"


def test_a_default_store_that_cannot_be_written_is_refused_also_where_chunks_go_elsewhere(
    refused: Callable[..., str], defs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(defs)
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("CXG_STORE_URL", (tmp_path / "file" / "store").as_uri())
    error = refused("--destination", (tmp_path / "chunks").as_uri())
    assert error == f"destination: {tmp_path / 'file' / 'store'} cannot be written: Not a directory"
    assert not (tmp_path / "chunks").exists()


def test_a_census_that_is_not_there_is_named(refused: Callable[..., str], defs: Path, tmp_path: Path) -> None:
    declare(defs)
    error = refused("--census-uri", str(tmp_path / "nowhere"))
    assert error.startswith(f"census {tmp_path / 'nowhere'}: no SOMA collection can be opened there (")
    assert error.endswith("give the URI of a Census (its folder holds census_info and census_data), or a release name")


def test_a_soma_collection_that_is_not_a_census_is_refused(
    refused: Callable[..., str], defs: Path, census_uri: str
) -> None:
    declare(defs)
    uri = f"{census_uri}/census_data"
    assert refused("--census-uri", uri) == (
        f"census {uri}: a SOMA collection, but not a Census: it has no census_info/census_data"
    )


def test_a_layer_that_the_census_does_not_have_is_refused(
    refused: Callable[..., str], defs: Path, census_uri: str, tmp_path: Path
) -> None:
    raw_only = tmp_path / "raw-only"
    shutil.copytree(census_uri, raw_only)
    with soma.Collection.open(f"{raw_only}/census_data/homo_sapiens/ms/RNA/X", "d") as layers:
        del layers["normalized"]
    declare(defs, layer="normalized")
    error = refused("--census-uri", str(raw_only))
    assert error == f"layer: census {raw_only} has no X/normalized for homo_sapiens; it has raw"


def test_an_embedding_that_is_not_hosted_is_refused_before_any_work(
    refused: Callable[..., str], defs: Path, census_uri: str
) -> None:
    declare(defs, obs_embeddings=["scvii"])
    assert refused("--census-uri", census_uri) == (
        "obs_embeddings: scvii is not hosted for homo_sapiens of 2025-01-01; there are scvi, tf-sapiens"
    )


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        (
            "organisms: [mus_musculus]",
            "organisms: give organism or organisms, not both; take one out",
        ),
        (
            "modality: visium",
            "modality: 'visium' is wrong: input should be 'census_data' or 'census_spatial_sequencing'",
        ),
        (
            "layer: normalized\n  modality: census_spatial_sequencing",
            "layer: spots have raw counts alone; take normalized out with modality: census_spatial_sequencing",
        ),
        ("layer: scaled", "layer: 'scaled' is wrong: input should be 'raw' or 'normalized'"),
        ("layers: {scaled: X}", "layers: 'scaled' is unknown; choose among raw, normalized"),
        ("layers: {raw: X}\n  layer: raw", "layers: give layer or layers, not both; take one out"),
        (
            "obsm_layers: [scvi]\n  obs_embeddings: [scvi]",
            "obsm_layers: 'scvi' is listed twice for obsm; take one out",
        ),
        (
            "obs_embeddings: [scvi]\n  modality: census_spatial_sequencing",
            "obs_embeddings: the Census hosts none of spots; take them out with modality: census_spatial_sequencing",
        ),
        ("obs_embeddings: [a/b]", "obs_embeddings: 'a/b' cannot be a name in obsm; take it out"),
        ("format: parquet", "format: 'parquet' is wrong: input should be 'h5ad' or 'zarr'"),
        ("compression: bz2", "compression: 'bz2' is wrong: input should be 'gzip', 'lzf', 'zstd', 'lz4' or 'none'"),
        (
            "compression: lz4",
            "compression: lz4 is for format: zarr; with format: h5ad choose one of gzip, lzf, zstd, none",
        ),
        ("genes_text: short", "genes_text: 'short' is wrong: input should be 'variable' or 'fixed'"),
        ("exports: [csv]", "exports: 'csv' is wrong: input should be 'parquet'"),
        ("chunk_size: 0", "chunk_size: 0 is not a positive whole number"),
        ("max_obs: -3", "max_obs: -3 is not a positive whole number"),
        (
            "destination: ftp://host/x",
            "destination: 'ftp://host/x' is not supported; give s3://bucket/prefix or the path of a folder",
        ),
        (
            "value_filtr: nnz > 5",
            "there is no attribute 'value_filtr'; did you mean value_filter? a subset can have name, organism, "
            "organisms, modality, value_filter, obs_columns, genes, max_obs, quality, sample, split, order, seed, "
            "layer, layers, obs_embeddings, obsm_layers, chunk_size, format, compression, genes_text, destination, "
            "exports, owners, tags",
        ),
    ],
)
def test_a_mistake_in_the_yaml_is_named_with_its_line(
    refused: Callable[..., str], defs: Path, attribute: str, says: str
) -> None:
    text = "type: cxg_assets.CensusSubset\nattributes:\n  name: sample\n  organism: homo_sapiens\n"
    file = declare_text(defs, f"{text}  {attribute}\n")
    assert refused() == f"{file}:5: {says}"


@pytest.mark.parametrize(
    ("quality", "says"),
    [
        ("{}", "quality: give columns, keep or outliers"),
        (
            "{kep: nnz > 5}",
            "there is no attribute 'quality.kep'; did you mean keep? quality can have columns, keep, outliers",
        ),
        ("{keep: ' '}", "quality.keep: the filter is empty; leave it out to keep every cell"),
        (
            "{columns: {mt-share: {share: {feature_name: MT-*}}}}",
            "quality.columns: 'mt-share' cannot be the name of a column; use letters, digits and underscores, starting "
            "with a letter, at most 63",
        ),
        (
            "{columns: {mt: {fraction: {feature_name: MT-*}}}}",
            "quality.columns.mt: there is no attribute 'fraction'; it can have share, nnz, counts",
        ),
        (
            "{columns: {mt: {share: MT-*}}}",
            "quality.columns.mt.share: 'MT-*' is wrong; write it like {feature_name: MT-*}",
        ),
        (
            "{columns: {mt: {share: {feature_name: MT-*, file: genes.txt}}}}",
            "quality.columns.mt.share: give one of feature_name, feature_ids, file; write it like {feature_name: MT-*}",
        ),
        (
            "{columns: {mt: {share: {feature_name: []}}}}",
            "quality.columns.mt.share.feature_name: [] is neither a name nor a list of names",
        ),
        (
            "{columns: {mt: {share: {file: ../genes.txt}}}}",
            "quality.columns.mt.share.file: '../genes.txt' is outside of the folder of its YAML, {folder}; put the "
            "file there",
        ),
        (
            "{columns: {cell_type: {nnz: {feature_name: MT-*}}}}",
            "quality.columns.cell_type: another column is called cell_type; choose another name",
        ),
        (
            "{outliers: {by: dataset_id}}",
            "quality.outliers.columns: name the columns in which a cell must not be far out",
        ),
        ("{outliers: {columns: nnz, n_mads: 0}}", "quality.outliers.n_mads: 0 is not a number above 0"),
        (
            "{outliers: {columns: nnz, mads: 3}}",
            "quality.outliers: there is no attribute 'mads'; it can have columns, by, n_mads",
        ),
        ("{outliers: [nnz]}", "quality.outliers: ['nnz'] is wrong: input should be an object"),
    ],
)
def test_a_mistake_in_the_quality_is_named_with_its_line(
    refused: Callable[..., str], defs: Path, quality: str, says: str
) -> None:
    text = "type: cxg_assets.CensusSubset\nattributes:\n  name: sample\n  organism: homo_sapiens\n"
    file = declare_text(defs, f"{text}  quality: {quality}\n")
    assert refused() == f"{file}:5: {says.replace('{folder}', str(file.parent))}"


def test_a_cluster_that_is_not_there_is_found_before_any_work(
    refused: Callable[..., str], defs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(defs)
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.delenv("CXG_POOL", raising=False)
    monkeypatch.setenv("RAY_ADDRESS", closed)
    assert refused().startswith(f"no Ray answers at RAY_ADDRESS={closed}")


@pytest.mark.parametrize(
    ("value_filter", "said_before"),
    [("tissue_general = 'blood'", ["refused"]), ("tissue_genral == 'blood'", ["began", "refused", "ended"])],
)
def test_a_mistyped_filter_is_told_before_what_was_started_ahead_has_ended(
    refused: Callable[..., str], defs: Path, monkeypatch: pytest.MonkeyPatch, value_filter: str, said_before: list[str]
) -> None:
    declare(defs)
    said: list[str] = []

    @contextlib.contextmanager
    def slow_to_end(pool: str) -> Iterator[Callable[[], None]]:
        said.append("began")
        try:
            yield lambda: None
        finally:
            said.append("ended")

    monkeypatch.setattr(run, "started_ahead", slow_to_end)
    for module in (told, main):
        monkeypatch.setattr(module, "tell_error", lambda line: said.append("refused") or tell_error(line))
    assert "value_filter: " in refused("--value-filter", value_filter)
    assert said == said_before
