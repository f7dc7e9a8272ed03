"""An export holds the cells of its chunks, row by row; it is written once, and nobody takes it for unreferenced."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import yaml
from anndata import AnnData

from cxg_assets.ingest.dataset.inventory import take_inventory
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.export import parquet_chunk
from cxg_assets.ingest.export.card import size_category
from cxg_assets.ingest.export.parquet import export_parquet
from cxg_assets.ingest.export.parquet_chunk import CELLS_PER_GROUP, differences, write_chunk
from cxg_assets.ingest.layout import exported_chunk_path, exported_file_path
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.sampling import Split
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingested import Ingested


@pytest.fixture
def published(ingest: Ingest, spec: Callable[..., SubsetSpec], store_url: str) -> Ingested:
    columns = ("cell_type", "donor_id", "is_primary_data", "raw_sum", "observation_joinid")
    split = Split(by=("donor_id",), shares={"train": 0.7, "test": 0.3})
    made = ingest(spec(max_obs=150, chunk_size=40, obs_columns=columns, split=split), store_url)
    publish(made.store, made.plan, made.reports, made.census)
    return made


def test_zarr_chunks_are_exported_alike(published: Ingested, ingest: Ingest, tmp_path: Path) -> None:
    made = ingest(replace(published.spec, format="zarr", compression="lz4"), (tmp_path / "zarr").as_uri())
    publish(made.store, made.plan, made.reports, made.census)

    assert export_parquet(made.store, "blood_normal").n_obs == export_parquet(published.store, "blood_normal").n_obs

    assert verify(made.store, read_dataset(made.store, "blood_normal"), None) == []
    for number in range(len(made.plan.chunks)):
        mine, others = (pd.read_parquet(file_of(each, path_of(each, number))) for each in (made, published))
        pd.testing.assert_frame_equal(mine, others)


def path_of(made: Ingested, number: int) -> str:
    chunk = made.plan.chunks[number]
    return exported_chunk_path("blood_normal", made.plan.header.plan_id, chunk.split, chunk.key, chunk.fingerprint)


def file_of(made: Ingested, path: str) -> Path:
    return Path(made.store.url.removeprefix("file://")) / path


def random_chunk(n_obs: int, n_vars: int = 50) -> Any:
    rng = np.random.default_rng(n_obs)
    x: Any = sp.random(n_obs, n_vars, 0.2, "csr", np.float32, rng)
    x.sort_indices()
    tissue = pd.Categorical.from_codes(rng.integers(-1, 2, n_obs), ["blood", "眼"])
    obs = pd.DataFrame({"tissue": tissue, "nnz": np.diff(x.indptr), "share": rng.random(n_obs)})
    obs.loc[:0, "share"] = np.nan
    return AnnData(x, obs.set_index(obs.index.astype(str)))


def test_every_row_is_the_cell_of_its_chunk_as_pandas_reads_it(published: Ingested) -> None:
    exported = export_parquet(published.store, "blood_normal")

    assert (exported.n_obs, exported.n_files, exported.n_written) == (150, len(published.plan.chunks), exported.n_files)
    vocabulary = pd.read_parquet(file_of(published, exported.card_path).parent / "genes.parquet")
    n_bytes = 0
    for number, chunk in enumerate(published.plan.chunks):
        file, adata = file_of(published, path_of(published, number)), published.read(chunk)
        n_bytes += file.stat().st_size
        rows = pd.read_parquet(file)
        assert rows.columns.tolist() == ["genes", "expressions", *adata.obs.columns]
        assert vocabulary.gene.tolist() == list(range(adata.n_vars))
        assert vocabulary.feature_id.tolist() == adata.var_names.tolist()
        for genes, expressions, cell in zip(rows["genes"], rows["expressions"], adata.X, strict=True):
            assert np.array_equal(genes, cell.indices)
            assert np.array_equal(expressions, cell.data)
        for name in adata.obs:
            assert rows[name].tolist() == adata.obs[name].tolist()
    assert exported.n_bytes == n_bytes


def test_a_second_run_writes_what_is_missing_and_nothing_else(published: Ingested) -> None:
    first = export_parquet(published.store, "blood_normal")
    kept, lost = (file_of(published, path_of(published, number)) for number in (0, 1))
    before, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()

    again = export_parquet(published.store, "blood_normal")

    assert (again.n_written, again.n_bytes) == (1, first.n_bytes)
    assert (kept.stat().st_mtime_ns, lost.read_bytes()) == (before, content)
    assert export_parquet(published.store, "blood_normal").n_written == 0


def test_verify_and_prune_take_an_export_for_what_it_is(published: Ingested) -> None:
    exported = export_parquet(published.store, "blood_normal")
    store = published.store
    other = exported_file_path("blood_normal", exported.plan_id, "data/train/99999-0123456789abcdef.parquet")
    assert verify(store, read_dataset(store, "blood_normal"), None) == []

    store.put(other, b"of another plan")

    [found] = verify(store, read_dataset(store, "blood_normal"), None)
    assert f"{store.uri(other)} is unreferenced" in found.what
    going = take_inventory(store, "blood_normal", 1, unreferenced=True).going
    assert [entry.place for entry in going] == [other]


def test_the_card_tells_splits_files_and_types(published: Ingested) -> None:
    exported = export_parquet(published.store, "blood_normal")

    text = published.store.get(exported.card_path).decode()
    _, front, body = text.split("---\n", 2)
    told = yaml.safe_load(front)
    assert told["license"] == "cc-by-4.0"
    assert told["size_categories"] == ["n<1K"]
    cells, genes = told["configs"]
    folder = file_of(published, exported.card_path).parent
    found = {files["split"]: sorted(folder.glob(files["path"])) for files in cells["data_files"]}
    assert {split: len(files) for split, files in found.items()} == {
        part: sum(chunk.split == part for chunk in published.plan.chunks) for part in ("train", "test")
    }
    assert genes["data_files"] == [{"split": "train", "path": "genes.parquet"}]
    schema = pq.read_schema(found["train"][0])
    features = {feature.pop("name"): feature for feature in told["dataset_info"][0]["features"]}
    assert list(features) == schema.names
    assert features["genes"] == {"sequence": "int32"}
    assert features["raw_sum"] == {"dtype": "float64"}
    assert features["cell_type"] == {"dtype": "string"}
    assert exported.plan_id in body
    assert (folder / "citations.csv").read_bytes().startswith(b'"dataset_id"')


@pytest.mark.parametrize("n_obs", [1, CELLS_PER_GROUP - 1, CELLS_PER_GROUP, 2 * CELLS_PER_GROUP + 7])
def test_a_chunk_of_any_size_comes_back(n_obs: int, tmp_path: Path) -> None:
    adata = random_chunk(n_obs)

    write_chunk(adata, tmp_path / "chunk.parquet")

    assert differences(tmp_path / "chunk.parquet", adata) == []
    assert pq.ParquetFile(tmp_path / "chunk.parquet").num_row_groups == -(-n_obs // CELLS_PER_GROUP)
    read = pd.read_parquet(tmp_path / "chunk.parquet")
    assert read.tissue.where(read.tissue.notna(), None).tolist() == [
        None if pd.isna(value) else value for value in adata.obs.tissue
    ]


@pytest.mark.parametrize("what", ["genes", "expressions", "tissue", "share", "rows"])
def test_each_value_is_compared_with_its_chunk(what: str, tmp_path: Path) -> None:
    n_obs = CELLS_PER_GROUP + 5
    adata = random_chunk(n_obs)
    write_chunk(adata, tmp_path / "chunk.parquet")
    other = adata.copy()
    last = other.X.indptr[-2]
    if what == "genes":
        other.X.indices[last] += 1
    elif what == "expressions":
        other.X.data[last] += 1
    elif what == "rows":
        other = other[:-1].copy()
    else:
        label = "眼" if adata.obs.tissue.iloc[-1] == "blood" else "blood"
        other.obs.iloc[-1, other.obs.columns.get_loc(what)] = {"tissue": label, "share": 2.0}[what]

    [found] = differences(tmp_path / "chunk.parquet", other)

    assert found.startswith("it has 1,005 rows, the chunk 1,004 cells" if what == "rows" else f"{what} of cells 1,000")


def test_what_is_not_its_chunk_is_not_stored(published: Ingested, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: Any = parquet_chunk._rows
    monkeypatch.setattr(parquet_chunk, "_rows", lambda adata, *rest: rows(adata[::-1].copy(), *rest))

    with pytest.raises(CxgError, match="chunk 00000: its parquet file is not what was written: genes of cells 0 to"):
        export_parquet(published.store, "blood_normal")

    assert not file_of(published, path_of(published, 0)).exists()


def test_a_damaged_chunk_is_not_exported(published: Ingested) -> None:
    file = published.file(published.plan.chunks[0])
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)

    with pytest.raises(CxgError, match="it is not the file that was published"):
        export_parquet(published.store, "blood_normal")


def test_nothing_published_and_a_column_called_genes_are_refused(published: Ingested) -> None:
    with pytest.raises(BadInput, match="other is not published"):
        export_parquet(published.store, "other")
    adata = random_chunk(3)
    adata.obs["genes"] = 1
    with pytest.raises(BadInput, match="exports: parquet has a column genes of its own; take genes out of obs_columns"):
        parquet_chunk.chunk_schema(adata)


def test_sizes_are_called_as_hugging_face_calls_them() -> None:
    assert [size_category(n) for n in (999, 1_000, 10**6, 60 * 10**6)] == [
        "n<1K", "1K<n<10K", "1M<n<10M", "10M<n<100M"
    ]  # fmt: skip
    assert json.dumps(size_category(10**10)) == '"1B<n<10B"'
