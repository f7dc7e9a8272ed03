"""Genes that the cells of a subset decide are those of the presence matrix and of scanpy."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cellxgene_census
import numpy as np
import pandas as pd
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.dataset.estimate import estimate
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.gene_selection import GeneSelection, HighlyVariable
from cxg_assets.ingest.genes.measured import measured_genes
from cxg_assets.ingest.layout import subset_obs_path, subset_var_path
from cxg_assets.ingest.sampling import Sample
from cxg_assets.ingest.selection.index import make_index
from cxg_assets.ingest.selection.subset import Subset, make_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import FeatherFile
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets_tests.references import get_highly_variable_genes, ranking_of_genes, scanpy

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

get_anndata: Any = cellxgene_census.get_anndata
get_presence_matrix: Any = cellxgene_census.get_presence_matrix
HUMAN = "homo_sapiens"
MakeSpec = Callable[..., SubsetSpec]
Made = tuple[Subset, pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module", autouse=True)
def _ranking() -> None:
    ranking_of_genes()


@pytest.fixture
def make(release: Release, index_store: Store, tmp_path: Path) -> Callable[[SubsetSpec], Made]:
    """A function: makes a subset, and gives its obs and var."""

    def run(wanted: SubsetSpec) -> Made:
        store, census = StoreLocator(url=tmp_path.as_uri()).open(), release.locator({})
        index = make_index(census, release, wanted.organism, index_store)
        subset = make_subset(wanted, index, index_store, census, store)
        tables = []
        for path in (subset_obs_path, subset_var_path):
            with store.local_copy(path(subset.name, subset.fingerprint)) as file, FeatherFile(file) as opened:
                tables.append(opened.read().to_pandas())
        # What `cxg-assets count` says.
        assert estimate(wanted, index, index_store, census).n_vars == subset.n_vars
        return subset, tables[0], tables[1]

    return run


def presence_of(census: soma.Collection, dataset_ids: list[str]) -> np.ndarray:
    """By the Census's own client: (n_datasets, n_vars) bool."""
    info: Any = census["census_info"]
    datasets = info["datasets"].read().concat().to_pandas().set_index("dataset_id")
    return get_presence_matrix(census, HUMAN)[datasets.soma_joinid[dataset_ids].to_numpy()].toarray() > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_measured_genes_are_those_of_the_presence_matrix(census: soma.Collection, census_uri: str, seed: int) -> None:
    rng = random.Random(seed)
    info: Any = census["census_info"]
    known = info["datasets"].read().concat().to_pandas()
    dataset_ids = rng.sample(known.dataset_id.tolist(), rng.randint(1, 5))
    expected = presence_of(census, dataset_ids)
    genes = np.array(rng.sample(range(expected.shape[1]), 500))

    with CensusLocator(uri=census_uri).open() as opened:
        measured = measured_genes(opened, HUMAN, dataset_ids, np.append(genes, -1))

    np.testing.assert_array_equal(measured[:, :-1], expected[:, genes])
    assert not measured[:, -1].any()


@pytest.mark.parametrize(
    ("cells", "genes"),
    [
        ({"value_filter": "tissue_general == 'blood'"}, {}),
        (
            {"value_filter": "nnz > 1500"},
            {"value_filter": "feature_length > 2000", "feature_type": ("protein_coding",)},
        ),
        ({"sample": Sample(n_obs=40, seed=3)}, {"feature_type": ("lncRNA", "protein_coding")}),
    ],
)
def test_genes_that_every_dataset_has_measured(
    spec: MakeSpec, make: Callable[[SubsetSpec], Made], census: soma.Collection, cells: Any, genes: Any
) -> None:
    wanted = spec(**cells, genes=GeneSelection(measured_in="every_dataset", **genes))

    subset, obs, var = make(wanted)

    all_genes: Any = cellxgene_census.get_var
    expected = all_genes(census, HUMAN, value_filter=genes.get("value_filter"))
    if "feature_type" in genes:
        expected = expected[expected.feature_type.isin(genes["feature_type"])]
    measured = np.flatnonzero(presence_of(census, sorted(set(obs.dataset_id))).all(axis=0))
    expected = expected[expected.soma_joinid.isin(measured)]
    assert 0 < len(expected) < len(all_genes(census, HUMAN))
    pd.testing.assert_frame_equal(var, expected.reset_index(drop=True))
    assert subset.n_vars == len(expected)
    assert subset.genes_in_words.endswith(" measured in every dataset")


@pytest.mark.parametrize(
    ("cells", "batch"),
    [
        ({"value_filter": "tissue_general == 'blood' and is_primary_data == True"}, ()),
        ({"value_filter": "is_primary_data == True", "sample": Sample(n_obs=500, seed=1)}, ("suspension_type",)),
        ({"value_filter": "raw_sum > 2000", "max_obs": 900}, ("suspension_type", "sex")),
    ],
)
def test_the_most_variable_genes_are_those_of_the_census_and_of_scanpy(
    spec: MakeSpec, make: Callable[[SubsetSpec], Made], census: soma.Collection, cells: Any, batch: tuple[str, ...]
) -> None:
    pytest.importorskip("skmisc")
    genes = GeneSelection(value_filter="nnz >= 50", highly_variable=HighlyVariable(n_top_genes=300, batch=batch))

    _, obs, var = make(spec(**cells, obs_columns=("dataset_id", *batch), genes=genes))

    of_census = get_highly_variable_genes(
        census,
        HUMAN,
        obs_coords=obs.soma_joinid.to_numpy(),
        var_value_filter="nnz >= 50",
        n_top_genes=300,
        batch_key=list(batch) or None,
    )
    assert var.soma_joinid.tolist() == of_census.index[of_census.highly_variable].tolist()
    if len(batch) > 1:
        return  # scanpy takes one column; with two joined to one it was seen to keep others of the last places
    adata = get_anndata(
        census,
        HUMAN,
        obs_coords=obs.soma_joinid.to_numpy(),
        var_value_filter="nnz >= 50",
        obs_column_names=["soma_joinid", *batch],
    )
    reference: Any = scanpy().pp.highly_variable_genes(
        adata, n_top_genes=300, flavor="seurat_v3", batch_key=batch[0] if batch else None, inplace=False
    )
    assert var.soma_joinid.tolist() == adata.var.soma_joinid[reference.highly_variable.to_numpy()].tolist()


@pytest.mark.parametrize(
    ("genes", "message"),
    [
        (
            GeneSelection(feature_ids=("ENSG00000167286",), highly_variable=HighlyVariable(n_top_genes=1)),
            "genes.highly_variable.n_top_genes: 1 of 1 genes that are left; choose fewer",
        ),
        (
            GeneSelection(highly_variable=HighlyVariable(n_top_genes=1, batch=("lane",))),
            "genes.highly_variable.batch: obs has no lane; it has soma_joinid",
        ),
        (
            GeneSelection(value_filter="n_measured_obs == 0", measured_in="every_dataset"),
            "genes.measured_in: none of [0-9,]+ genes is measured in all [0-9]+ datasets of the cells",
        ),
    ],
)
def test_what_the_cells_cannot_decide_is_refused(
    spec: MakeSpec, make: Callable[[SubsetSpec], Made], genes: GeneSelection, message: str
) -> None:
    pytest.importorskip("skmisc")
    with pytest.raises(BadInput, match=message):
        make(spec(genes=genes))


def test_cells_and_thresholds_that_keep_the_same_genes_make_the_same_chunks(
    spec: MakeSpec, make: Callable[[SubsetSpec], Made]
) -> None:
    whole, *_ = make(spec(genes=GeneSelection(measured_in="every_dataset")))
    again, *_ = make(spec(genes=GeneSelection(measured_in="every_dataset", feature_type=())))
    other, *_ = make(spec(genes=GeneSelection(feature_type=("protein_coding",))))

    assert whole.fingerprint == again.fingerprint != other.fingerprint
