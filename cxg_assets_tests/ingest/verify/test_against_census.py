"""Every chunk is what `cellxgene_census.get_anndata` returns for the same cells and genes."""

import random
from dataclasses import dataclass
from typing import Any

import cellxgene_census
import numpy as np
import pandas as pd
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.spec import COMPRESSIONS, DEFAULT_OBS_COLUMNS, GENES_TEXTS, LAYERS, GeneSelection, SubsetSpec
from cxg_assets_tests.categories import as_in_subset
from cxg_assets_tests.conftest import BLOOD_NORMAL, WELL_MEASURED, Ingest
from cxg_assets_tests.ingested import Ingested

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

get_anndata: Any = cellxgene_census.get_anndata
get_obs: Any = cellxgene_census.get_obs
get_var: Any = cellxgene_census.get_var

HUMAN, MOUSE = "homo_sapiens", "mus_musculus"
FILTERS = {
    "every cell": None,
    "blood": BLOOD_NORMAL,
    "across tiles and fragments": "soma_joinid >= 1290 and soma_joinid <= 2070",
    "scattered": "nnz > 1800 and is_primary_data == True",
    "a few far apart": "soma_joinid in [3, 4, 1299, 1300, 2047, 2048, 2599]",
    "label or number": "sex == 'female' or raw_mean_nnz > 3.5",
}
FILTERS_OF_SMALL = {"every cell": None, "scattered": "nnz > 1500", "primary": "is_primary_data == True"}
"""For mouse and for the census in the older layout."""

OBS_COLUMNS = [
    DEFAULT_OBS_COLUMNS,
    ("is_primary_data", "raw_sum", "nnz", "observation_joinid", "sex"),
    (),
    ("dataset_id", "n_measured_vars", "development_stage", "tissue"),
]
MAX_OBS = {1: 2, 7: 17, 100: 150, 1000: None, 10_000: None}
"""chunk_size → max_obs, so that no case makes more than a handful of files."""


@dataclass(frozen=True)
class Case:
    """A subset to try, and the census it is cut from."""

    seed: int
    cells: str
    is_old: bool
    shuffled_genes: bool
    spec: SubsetSpec

    def __str__(self) -> str:
        spec = self.spec
        genes = "shuffled genes" if self.shuffled_genes else "all genes" if spec.genes is None else "filtered genes"
        text = "plain text" if self.is_old else "dictionaries"
        files = f"{spec.layer}, {spec.chunk_size}, {spec.compression}, {spec.genes_text}"
        return f"{self.cells}, {spec.organism}, {genes}, {files}, {text}"


def make_case(seed: int) -> Case:
    """A random subset. What the engine has its own branches for is dealt out in turn, the rest is drawn."""
    rng = random.Random(seed)
    organism = MOUSE if seed % 4 == 3 else HUMAN
    is_old = seed % 7 in (5, 6)
    filters = FILTERS_OF_SMALL if is_old or organism == MOUSE else FILTERS
    cells = list(filters)[seed * 5 // 2 % len(filters)]
    chunk_size = list(MAX_OBS)[seed % 5]
    spec = SubsetSpec(
        name="case",
        organism=organism,
        value_filter=filters[cells],
        obs_columns=rng.choice(OBS_COLUMNS),
        genes=[None, WELL_MEASURED, None][seed % 3],
        max_obs=MAX_OBS[chunk_size],
        layer=LAYERS[seed // 4 % 2],
        chunk_size=chunk_size,
        compression=COMPRESSIONS[seed // 3 % 4],
        genes_text=GENES_TEXTS[seed // 5 % 2],
    )
    return Case(seed=seed, cells=cells, is_old=is_old, shuffled_genes=seed % 3 == 2, spec=spec)


CASES = [make_case(seed) for seed in range(20)]


def with_shuffled_genes(spec: SubsetSpec, census: soma.Collection, seed: int) -> SubsetSpec:
    rng = random.Random(seed)
    ids = rng.sample(get_var(census, spec.organism, column_names=["feature_id"]).feature_id.tolist(), 4_000)
    return SubsetSpec(**{**vars(spec), "genes": GeneSelection(feature_ids=tuple(ids))})


def expected_genes(spec: SubsetSpec, census: soma.Collection) -> np.ndarray:
    """soma_joinids of the genes, by the Census's own client."""
    if spec.genes is None or spec.genes.value_filter is not None:
        value_filter = None if spec.genes is None else spec.genes.value_filter
        var = get_var(census, spec.organism, value_filter=value_filter)
    else:
        var = get_var(census, spec.organism)
        var = var[var.feature_id.isin(spec.genes.feature_ids)]
    return var.soma_joinid.to_numpy()


def assert_equals_the_census(chunk: Any, expected: Any, obs_of_all: pd.DataFrame) -> None:
    cells = as_in_subset(expected.obs.reset_index(drop=True), of=obs_of_all)
    pd.testing.assert_frame_equal(chunk.obs.reset_index(drop=True), cells)
    assert chunk.var_names.tolist() == expected.var["feature_id"].tolist()
    assert chunk.var["feature_type"].cat.categories.tolist() == sorted(set(expected.var["feature_type"]))
    var = chunk.var.astype({"feature_type": expected.var["feature_type"].dtype})
    pd.testing.assert_frame_equal(var.reset_index(drop=True), expected.var.reset_index(drop=True))
    mine, theirs = chunk.X, expected.X
    assert mine.shape == theirs.shape
    assert type(mine) is type(theirs)
    assert mine.has_sorted_indices
    for part in ("data", "indices", "indptr"):
        assert getattr(mine, part).dtype == getattr(theirs, part).dtype
        np.testing.assert_array_equal(getattr(mine, part), getattr(theirs, part))


def assert_selects(ingested: Ingested, joinids: list[int], census: soma.Collection) -> None:
    """The cells of all chunks, in order, are those that the Census selects."""
    spec = ingested.spec
    expected = get_obs(census, spec.organism, value_filter=spec.value_filter, column_names=["soma_joinid"])
    assert joinids == expected.soma_joinid.tolist()[: spec.max_obs]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_chunks_equal_get_anndata_of_the_same_cells_and_genes(
    case: Case, census: soma.Collection, old_census: soma.Collection, ingest: Ingest, store_url: str
) -> None:
    reference = old_census if case.is_old else census
    spec = with_shuffled_genes(case.spec, reference, case.seed) if case.shuffled_genes else case.spec

    ingested = ingest(spec, store_url, uri=reference.uri.removeprefix("file://"))

    assert ingested.failures == ()
    assert [report.chunk for report in ingested.reports] == [chunk.key for chunk in ingested.plan.chunks]
    genes = expected_genes(spec, reference)
    joinids: list[int] = []
    columns = ["soma_joinid", *spec.obs_columns]
    obs_of_all = get_obs(reference, spec.organism, value_filter=spec.value_filter, column_names=columns)[: spec.max_obs]
    for chunk, report in zip(ingested.plan.chunks, ingested.reports, strict=True):
        adata = ingested.read(chunk)
        cells = adata.obs["soma_joinid"].to_numpy()
        expected = get_anndata(
            reference,
            spec.organism,
            X_name=spec.layer,
            obs_coords=cells,
            var_coords=genes,
            obs_column_names=columns,
        )
        assert_equals_the_census(adata, expected, obs_of_all)
        assert adata.obs_names.tolist() == [str(joinid) for joinid in cells]
        assert (report.n_obs, report.n_vars, report.nnz) == (*expected.shape, expected.X.nnz)
        assert (report.first_joinid, report.last_joinid) == (cells[0], cells[-1])
        assert dict(adata.uns["cxg_assets"]) == {
            **ingested.plan.header.provenance,
            "chunk": chunk.key,
            "fingerprint": chunk.fingerprint,
        }
        joinids += cells.tolist()
    assert_selects(ingested, joinids, reference)
    sizes = {len(range(chunk.row_start, chunk.row_stop)) for chunk in ingested.plan.chunks[:-1]}
    assert sizes <= {spec.chunk_size}


def test_the_cases_above_meet_every_branch_of_the_engine() -> None:
    specs = [case.spec for case in CASES]
    assert {spec.compression for spec in specs} == set(COMPRESSIONS)
    assert {spec.genes_text for spec in specs} == set(GENES_TEXTS)
    assert {(spec.organism, spec.layer) for spec in specs} == {(o, layer) for o in (HUMAN, MOUSE) for layer in LAYERS}
    assert {spec.chunk_size for spec in specs} == set(MAX_OBS)
    assert {case.cells for case in CASES} == {*FILTERS, *FILTERS_OF_SMALL}
    assert {spec.obs_columns for spec in specs} == set(OBS_COLUMNS)
    both = (True, False)
    assert {(case.is_old, case.spec.organism) for case in CASES} == {(old, o) for old in both for o in (HUMAN, MOUSE)}
    genes = {(case.shuffled_genes, case.spec.genes) for case in CASES}
    assert genes == {(True, None), (False, None), (False, WELL_MEASURED)}
