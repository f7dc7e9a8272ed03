"""What one pass computes is what scanpy computes, on random selections, sets and ways to read."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.metrics import KINDS, Quality, QualityColumn
from cxg_assets.ingest.quality import measuring
from cxg_assets.ingest.quality.checked import CheckedQuality, check_quality
from cxg_assets.ingest.quality.measuring import measure_cells
from cxg_assets.ingest.x.blocks import plan_blocks
from cxg_assets.ingest.x.reader import BUFFER_BYTES
from cxg_assets_tests.conftest import N_OBS
from cxg_assets_tests.ingest.quality.reference import get_anndata, is_in_set, with_columns

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

HUMAN, MOUSE = "homo_sapiens", "mus_musculus"


def random_columns(rng: random.Random, var: pd.DataFrame) -> tuple[QualityColumn, ...]:
    """One to five columns, of patterns that overlap or of genes."""
    ids, names = var.feature_id.tolist(), var.feature_name.tolist()

    def of_genes() -> dict[str, tuple[str, ...]]:
        if rng.random() < 0.5:
            return {"feature_ids": tuple(rng.sample(ids, rng.choice([1, 30, 3_000])))}
        found = {f"{name[: rng.randint(1, 4)].replace('[', '?')}*" for name in rng.sample(names, rng.randint(1, 3))}
        return {"feature_name": tuple(sorted(found))}

    n_columns = rng.randint(1, 5)
    return tuple(QualityColumn(name=f"of_{i}", kind=rng.choice(KINDS), **of_genes()) for i in range(n_columns))


def measured(
    quality: CheckedQuality, obs: pd.DataFrame, var: pa.Table, locator: CensusLocator, x_uri: str, *, n_threads: int
) -> pd.DataFrame:
    """The columns, of cells that come in batches of 300."""
    batches = pa.Table.from_pandas(obs, preserve_index=False).to_batches(max_chunksize=300)

    def open_x() -> Any:
        return locator.open_x(x_uri, n_threads=1, buffer_bytes=BUFFER_BYTES)

    genes = var["soma_joinid"].to_numpy()
    return measure_cells(quality, batches, genes, open_x, n_threads).to_pandas()


@pytest.mark.parametrize("seed", range(8))
def test_columns_are_those_of_scanpy(
    census: soma.Collection, census_uri: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    organism = MOUSE if seed % 4 == 3 else HUMAN
    locator = CensusLocator(uri=census_uri)
    with locator.open() as opened:
        var, x_uri, n_obs = opened.var(organism), opened.layers(organism)["raw"], opened.obs(organism).count
        schema = opened.obs(organism).schema
    joinids = np.sort(rng.sample(range(n_obs), min(n_obs, rng.choice([1, 40, 700]))))
    adata = get_anndata(census, organism, X_name="raw", obs_coords=joinids)
    columns = random_columns(rng, adata.var)
    quality = check_quality(Quality(columns=columns), schema, var)
    # With few non-zeros a block, so that one cell has many of them.
    monkeypatch.setattr(measuring, "plan_blocks", lambda cells, nnz: plan_blocks(cells, nnz, 20_000))
    # A build without raw_sum, or without nnz too, gives the same.
    known = adata.obs[["soma_joinid", *[["nnz", "raw_sum"], ["nnz"], []][seed % 3]]]

    found = measured(quality, known, var, locator, x_uri, n_threads=1 + seed % 2)

    expected = with_columns(adata, columns)
    for column in columns:
        assert set(quality.genes[column.name]) == set(adata.var.feature_id[is_in_set(adata.var, column)])
        np.testing.assert_allclose(found[column.name], expected[column.name], rtol=1e-5)


def test_a_cell_without_counts_has_a_share_of_nothing(census_uri: str) -> None:
    locator = CensusLocator(uri=census_uri)
    with locator.open() as opened:
        var, schema, x_uri = opened.var(HUMAN), opened.obs(HUMAN).schema, opened.layers(HUMAN)["raw"]
    column = QualityColumn(name="mt", kind="share", feature_name=("MT-*",))
    quality = check_quality(Quality(columns=(column, replace(column, name="n", kind="nnz"))), schema, var)
    # Of a cell that is not there X has nothing.
    cells = pd.DataFrame({"soma_joinid": [0, N_OBS - 1], "nnz": [1, 1], "raw_sum": [0.0, 100.0]})

    found = measured(quality, cells, var, locator, x_uri, n_threads=1)

    assert found.mt[0] == 0
    assert found.mt[1] > 0
    assert found.n.dtype == np.int64


def test_a_failure_of_one_block_ends_the_pass(census_uri: str) -> None:
    locator = CensusLocator(uri=census_uri)
    with locator.open() as opened:
        var, schema = opened.var(HUMAN), opened.obs(HUMAN).schema
    column = QualityColumn(name="mt", kind="counts", feature_name=("MT-*",))
    quality = check_quality(Quality(columns=(column,)), schema, var)
    cells = pd.DataFrame({"soma_joinid": np.arange(10), "nnz": 1_000})

    with pytest.raises(Exception, match=r"the X array .*nowhere cannot be opened"):
        measured(quality, cells, var, locator, f"{census_uri}/nowhere", n_threads=2)
