"""Quality on its way through the engine: columns, filter and outliers against scanpy, pandas and sc-best-practices."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.chunks.stored_chunk import fetch_chunk
from cxg_assets.ingest.dataset.card import dataset_card
from cxg_assets.ingest.dataset.load import load_table
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.layout import subset_obs_path
from cxg_assets.ingest.metrics import Outliers, Quality, QualityColumn
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.sampling import Sample, Split
from cxg_assets.ingest.selection.index import make_index
from cxg_assets.ingest.selection.subset import Subset, make_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.against_census import open_census_cells
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingest.quality.reference import all_cells, with_columns, without_outliers
from cxg_assets_tests.ingested import Ingested

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

FILTER = "is_primary_data == True"
MARKERS = ("ENSG00000167286", "ENSG00000090382", "ENSG00000156738")
COLUMNS = (
    QualityColumn(name="mt_share", kind="share", feature_name=("MT-*",)),
    QualityColumn(name="ribo_nnz", kind="nnz", feature_name=("RPS*", "RPL*")),
    QualityColumn(name="marker_counts", kind="counts", feature_ids=MARKERS),
)
KEEP = "mt_share < 0.08 and ribo_nnz >= 60 and tissue_general != 'lung'"
OUTLIERS = Outliers(columns=("mt_share", "raw_sum"), by=("dataset_id",), n_mads=3)
QUALITY = Quality(columns=COLUMNS, keep=KEEP, outliers=OUTLIERS)


def obs_of(made: Ingested) -> pd.DataFrame:
    return load_table(made.store, subset_obs_path(made.spec.name, made.subset.fingerprint)).to_pandas()


@pytest.fixture(scope="module")
def reference(census: soma.Collection) -> pd.DataFrame:
    """obs of the cells that pass the filter, with the columns of the quality."""
    return with_columns(all_cells(census, FILTER), COLUMNS)


def kept(reference: pd.DataFrame) -> tuple[Any, Any]:
    """The cells that pass `KEEP`, and those of them that are no outliers."""
    passing = reference[(reference.mt_share < 0.08) & (reference.ribo_nnz >= 60) & (reference.tissue_general != "lung")]
    return passing, without_outliers(passing, OUTLIERS)


@pytest.fixture(scope="module")
def scored(ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    made = ingest(spec(value_filter=FILTER, quality=QUALITY), tmp_path_factory.mktemp("scored").as_uri())
    assert not made.failures
    return made


def test_cells_and_columns_are_those_of_scanpy(scored: Ingested, reference: pd.DataFrame) -> None:
    passing, left = kept(reference)
    obs = obs_of(scored)

    assert 0 < len(left) < len(passing) < len(reference)
    assert obs.soma_joinid.tolist() == left.soma_joinid.tolist()
    np.testing.assert_allclose(obs.mt_share, left.mt_share, rtol=1e-5)
    assert obs.ribo_nnz.tolist() == left.ribo_nnz.tolist()
    assert obs.marker_counts.tolist() == left.marker_counts.tolist()
    assert obs.dtypes[["mt_share", "ribo_nnz", "marker_counts"]].astype(str).tolist() == ["float64", "int64", "float64"]
    counts = scored.subset.quality
    assert counts is not None
    assert (counts.n_obs, counts.n_failed, counts.n_outliers) == (
        len(reference),
        len(reference) - len(passing),
        len(passing) - len(left),
    )


def test_chunks_have_the_columns_after_those_of_obs_and_tell_of_the_quality(scored: Ingested) -> None:
    obs = obs_of(scored).set_index("soma_joinid")
    for chunk in scored.plan.chunks:
        adata = scored.read(chunk)
        assert adata.obs.columns.tolist() == ["soma_joinid", *scored.spec.obs_columns, *QUALITY.names]
        expected = obs.loc[adata.obs.soma_joinid, list(QUALITY.names)].reset_index(drop=True)
        pd.testing.assert_frame_equal(adata.obs[list(QUALITY.names)].reset_index(drop=True), expected)
        told = adata.uns["cxg_assets"]["quality"]
    n_mt = len(scored.subset.selection.quality_genes["mt_share"])
    assert told.startswith(f"mt_share (share of {n_mt} genes), ribo_nnz (nnz of ")
    assert told.endswith("; no outliers of mt_share and raw_sum by dataset_id, n_mads 3")
    assert "; keep mt_share < 0.08 and ribo_nnz >= 60" in told


def test_what_is_published_is_verified_deep_and_told_by_the_card(scored: Ingested) -> None:
    dataset = publish(scored.store, scored.plan, scored.reports, scored.census)

    assert verify(scored.store, dataset, scored.census) == []
    card = dataset_card(scored.plan.header, dataset).decode()
    assert "| Quality | mt_share (share of MT-*), ribo_nnz (nnz of RPL* and RPS*), marker_counts (counts of 3 " in card
    assert scored.subset.quality is not None
    assert card.count(scored.subset.quality.in_words) == 1


def test_a_number_that_the_counts_do_not_give_is_found(scored: Ingested, tmp_path: Path) -> None:
    chunk = scored.plan.chunks[0]
    (tmp_path / "changed").write_bytes(scored.file(chunk).read_bytes())
    with h5py.File(tmp_path / "changed", "r+") as file:
        shares: Any = file["obs/mt_share"]
        shares[1] += 0.001
    stored = fetch_chunk(scored.store, scored.plan.header, chunk)
    changed = replace(stored, objects={"": (tmp_path / "changed").read_bytes()})
    with open_census_cells(scored.store, scored.plan, scored.census) as cells:
        found = cells.differences(changed, scored.plan, chunk)

    assert found == ["mt_share of 1 cells is not what the Census's counts give"]


def make(ingest_like: Ingested, index_store: Store, **changes: Any) -> Subset:
    """The subset alone, of a spec like another."""
    index = make_index(ingest_like.census, ingest_like.release, "homo_sapiens", index_store)
    return make_subset(replace(ingest_like.spec, **changes), index, index_store, ingest_like.census, ingest_like.store)


def changed(**changes: Any) -> Quality:
    return replace(QUALITY, **changes)


def test_the_fingerprint_moves_only_with_what_is_computed_and_kept(scored: Ingested, index_store: Store) -> None:
    ids = scored.subset.selection.quality_genes["mt_share"]
    mt, ribo, markers = COLUMNS
    same = [
        changed(columns=(replace(mt, feature_name=(), feature_ids=ids), ribo, markers)),
        changed(columns=(mt, replace(ribo, feature_name=("RPL*", "RPS*", "RPL*")), markers)),
        changed(keep="not (mt_share >= 0.08) and (ribo_nnz>=60) and tissue_general != 'lung'"),
        changed(outliers=replace(OUTLIERS, columns=("raw_sum", "mt_share"))),
    ]
    others = [
        changed(columns=(replace(mt, name="mt"), ribo, markers), keep=None, outliers=None),
        changed(columns=(replace(mt, kind="counts"), ribo, markers), keep=None),
        changed(columns=(mt, replace(ribo, feature_name=("RPS*",)), markers), keep=None),
        changed(columns=(ribo, mt, markers)),
        changed(keep="mt_share < 0.09"),
        changed(outliers=replace(OUTLIERS, n_mads=4)),
        changed(outliers=replace(OUTLIERS, by=())),
        None,
    ]

    def fingerprint(quality: Quality | None) -> tuple[str, str]:
        subset = make(scored, index_store, quality=quality, max_obs=400)
        plan = store_plan(replace(scored.spec, quality=quality, max_obs=400), subset, scored.store)
        return subset.fingerprint, plan.chunks[0].fingerprint

    own = fingerprint(QUALITY)
    found = [fingerprint(quality) for quality in (*same, *others)]
    assert found[: len(same)] == [own] * len(same)
    assert len({of_subset for of_subset, _ in [own, *found]}) == 1 + len(others)
    assert len({of_chunk for _, of_chunk in [own, *found]}) == 1 + len(others)


@pytest.mark.parametrize(
    ("quality", "says"),
    [
        (changed(keep="mt_share < 0.1"), "quality.keep was `mt_share < 0.08"),
        (
            changed(outliers=None),
            "quality.outliers were `mt_share and raw_sum by dataset_id, n_mads 3`, are now `none`",
        ),
        (changed(columns=COLUMNS[:2], keep=None), "quality.columns were `mt_share (share of MT-*), ribo_nnz"),
        (None, "quality was `mt_share (share of MT-*)"),
    ],
    ids=["keep", "outliers", "columns", "none"],
)
def test_a_plan_is_refused_when_the_yaml_asks_for_another_quality(
    scored: Ingested, quality: Quality | None, says: str
) -> None:
    with pytest.raises(BadInput) as caught:
        store_plan(replace(scored.spec, quality=quality), scored.subset, scored.store)

    assert says in str(caught.value)


def test_the_same_quality_in_other_words_is_not_refused(scored: Ingested) -> None:
    columns = (COLUMNS[0], replace(COLUMNS[1], feature_name=("RPL*", "RPS*")), COLUMNS[2])
    again = changed(columns=columns, keep=f"({KEEP})")

    assert scored.subset.selection.differences(replace(scored.spec, quality=again)) == []


def test_sample_and_split_take_what_the_quality_left(
    scored: Ingested, reference: pd.DataFrame, ingest: Ingest, tmp_path: Path
) -> None:
    _, left = kept(reference)
    sample, split = Sample(by=("cell_type",), at_most=40), Split(by=("donor_id",), shares={"train": 0.7, "test": 0.3})

    made = ingest(replace(scored.spec, sample=sample, split=split), tmp_path.as_uri())

    obs = obs_of(made)
    sizes = left.groupby("cell_type", observed=True).size().clip(upper=40)
    assert obs.groupby("cell_type", observed=True).size().to_dict() == sizes[sizes > 0].to_dict()
    expected = left.set_index("soma_joinid").loc[obs.soma_joinid]
    np.testing.assert_allclose(obs.mt_share, expected.mt_share, rtol=1e-5)
    assert set(obs.split) == {"train", "test"}
    assert made.read(made.plan.chunks[0]).obs.columns[-1] == "marker_counts"


def test_without_a_sample_max_obs_limits_the_cells_that_are_looked_at(
    scored: Ingested, reference: pd.DataFrame, index_store: Store
) -> None:
    quality = Quality(columns=COLUMNS[:1], keep="mt_share < 0.05")

    subset = make(scored, index_store, quality=quality, max_obs=300)

    assert subset.quality is not None
    assert subset.quality.n_obs == 300
    assert subset.n_obs == int((reference.mt_share[:300] < 0.05).sum())


def test_outliers_of_obs_need_no_counts(
    scored: Ingested, reference: pd.DataFrame, index_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CensusLocator, "open_x", pytest.fail)
    outliers = Outliers(columns=("nnz", "raw_sum"), by=("dataset_id", "suspension_type"), n_mads=2.5)
    subset = make(scored, index_store, quality=Quality(outliers=outliers))

    assert subset.n_obs == len(without_outliers(reference, outliers))


def test_nothing_is_computed_of_another_build_than_that_of_the_index(
    scored: Ingested, index_store: Store, old_census_uri: str
) -> None:
    index = make_index(scored.census, scored.release, "homo_sapiens", index_store)
    another = CensusLocator(uri=old_census_uri)
    spec = replace(scored.spec, max_obs=20, quality=Quality(columns=COLUMNS))

    with pytest.raises(BadInput, match="the Census was replaced"):
        make_subset(spec, index, index_store, another, scored.store)


def test_of_a_build_in_the_older_layout_it_is_the_same(
    ingest: Ingest,
    spec: Callable[..., SubsetSpec],
    old_census: soma.Collection,
    old_census_uri: str,
    tmp_path: Path,
) -> None:
    outliers = replace(OUTLIERS, columns=("mt_share",), by=("dataset_id", "sex"))
    quality = Quality(columns=COLUMNS, keep="sex != 'female' or mt_share < 0.1", outliers=outliers)

    made = ingest(spec(quality=quality, chunk_size=1_000), tmp_path.as_uri(), uri=old_census_uri)

    reference: Any = with_columns(all_cells(old_census, None), COLUMNS)
    left = without_outliers(reference[(reference.sex != "female") | (reference.mt_share < 0.1)], outliers)
    assert 0 < len(left) < len(reference)
    [chunk] = made.plan.chunks
    adata = made.read(chunk)
    assert adata.obs.soma_joinid.tolist() == left.soma_joinid.tolist()
    np.testing.assert_allclose(adata.obs.mt_share, left.mt_share, rtol=1e-5)


@pytest.mark.parametrize(
    ("quality", "message"),
    [
        (
            Quality(columns=(QualityColumn(name="nnz", kind="nnz", feature_name=("MT-*",)),)),
            "quality.columns.nnz: obs of this Census has a column nnz; choose another name",
        ),
        (
            Quality(columns=(QualityColumn(name="mt", kind="share", feature_name=("mt-*",)),)),
            "quality.columns.mt.share.feature_name: no gene of ",
        ),
        (
            Quality(columns=(QualityColumn(name="x", kind="nnz", feature_ids=("CD3D", "ENSG00000167286")),)),
            "quality.columns.x.nnz.feature_ids: 1 of 2 are not in var of this Census: CD3D; ",
        ),
        (Quality(keep="mt_share < 1"), "quality.keep: "),
        (
            Quality(columns=COLUMNS[:1], keep="mt_share > 1"),
            "quality.keep: none of ",
        ),
        (Quality(outliers=Outliers(columns=("mt",))), "quality.outliers.columns: obs and quality.columns have no mt; "),
        (
            Quality(outliers=Outliers(columns=("nnz",), by=("donor",))),
            "quality.outliers.by: obs has no donor; there are ",
        ),
        (
            Quality(outliers=Outliers(columns=("cell_type",))),
            "quality.outliers.columns: 'cell_type' is a column of dictionary",
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_does_not_fit_the_census_is_named(
    ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path: Path, quality: Quality, message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        ingest(spec(value_filter=FILTER, quality=quality), tmp_path.as_uri())

    assert str(caught.value).startswith(message)
    assert list(tmp_path.rglob("*.feather")) == []
