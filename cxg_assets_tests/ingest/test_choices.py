"""Samples, splits and orders on their way through the engine: obs against pandas, chunks against the Census."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata
import cellxgene_census
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.choice.draws import hash_cells
from cxg_assets.ingest.dataset.load import load_dataset, load_table
from cxg_assets.ingest.dataset.manifest import read_manifest
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.layout import card_path, subset_obs_path
from cxg_assets.ingest.plan import ordering
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.plan.passes import cutting
from cxg_assets.ingest.plan.spans import Span
from cxg_assets.ingest.pools.pieces import remove_pieces
from cxg_assets.ingest.sampling import Order, Sample, Split
from cxg_assets.ingest.selection.subset import part_field
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import write_feather
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets.ingest.verify.plan import verify_plan
from cxg_assets.ingest.verify.split import verify_split
from cxg_assets_tests.conftest import Ingest
from cxg_assets_tests.ingested import Ingested, run_spans

# tiledbsoma 2.3.0 hands AnnData an integer obs index, of which AnnData warns at every get_anndata.
pytestmark = pytest.mark.filterwarnings("ignore:Transforming to str index")

get_obs: Any = cellxgene_census.get_obs
get_anndata: Any = cellxgene_census.get_anndata

HUMAN = "homo_sapiens"
FILTER = "is_primary_data == True"
SAMPLE = Sample(by=("cell_type",), at_most=120, at_least=10, seed=3)
SPLIT = Split(by=("donor_id",), shares={"train": 0.6, "validation": 0.2, "test": 0.2}, seed=3)


def obs_of(made: Ingested) -> pd.DataFrame:
    table = load_table(made.store, subset_obs_path(made.spec.name, made.subset.fingerprint))
    return table.to_pandas()


def kept_by(obs: pd.DataFrame, sample: Sample) -> pd.DataFrame:
    """The cells of a sample with a cap for each group, by pandas."""
    groups = obs.groupby(list(sample.by), observed=True)
    left = obs[groups.soma_joinid.transform("size") >= (sample.at_least or 0)]
    left = left.assign(cap=hash_cells(left.soma_joinid.to_numpy(), sample.seed, 0))
    return left.loc[left.groupby(list(sample.by), observed=True).cap.rank() <= (sample.at_most or len(obs))]


@pytest.fixture(scope="module")
def all_cells(census: soma.Collection) -> pd.DataFrame:
    return get_obs(census, HUMAN, value_filter=FILTER, column_names=["soma_joinid", "cell_type", "donor_id"])


@pytest.fixture(scope="module", params=["shuffled", "fully_shuffled"])
def chosen(
    ingest: Ingest,
    spec: Callable[..., SubsetSpec],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Ingested:
    """A sample, split and shuffled, of which pools have three chunks, and pieces a row of tiles."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ordering, "POOL_NNZ", 3 * 60 * 2_000)
        patched.setattr(cutting, "PIECE_NNZ", 1)
        order = Order(kind=request.param)
        wanted = spec(value_filter=FILTER, sample=SAMPLE, split=SPLIT, order=order, chunk_size=60)
        made = ingest(wanted, tmp_path_factory.mktemp("chosen").as_uri(), n_workers=3)
    assert not made.failures
    return made


def test_the_sample_is_that_of_pandas_and_told_with_its_groups(chosen: Ingested, all_cells: pd.DataFrame) -> None:
    expected = kept_by(all_cells, SAMPLE)

    assert obs_of(chosen).soma_joinid.tolist() == expected.soma_joinid.tolist()
    assert chosen.subset.sampled is not None
    assert chosen.subset.sampled.n_obs == len(all_cells)
    assert chosen.subset.sampled.n_groups == all_cells.cell_type.nunique()
    assert chosen.subset.sampled.n_groups_kept == expected.cell_type.nunique()


def test_no_donor_is_in_two_parts_and_the_parts_are_counted(chosen: Ingested) -> None:
    obs = obs_of(chosen)

    assert obs.split.cat.categories.tolist() == ["train", "validation", "test"]
    assert obs.groupby("donor_id", observed=True).split.nunique().max() == 1
    assert chosen.subset.parts == obs.split.value_counts(sort=False).to_dict()


def test_a_group_in_two_parts_is_found(chosen: Ingested, tmp_path: Path) -> None:
    table = load_table(chosen.store, subset_obs_path(chosen.spec.name, chosen.subset.fingerprint))
    donor = table["donor_id"][0].as_py()
    codes = table["split"].combine_chunks().indices.to_numpy().copy()
    codes[0] = (codes[0] + 1) % 3
    parts = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(chosen.subset.parts))
    moved = table.set_column(table.schema.get_field_index("split"), part_field(), parts)
    write_feather(tmp_path / "obs", moved.combine_chunks().to_batches(), moved.schema)

    found = verify_split(chosen.subset, tmp_path / "obs")

    assert f"{donor} is in several parts" in found.what
    assert found.facts["n_groups_in_several_parts"] == 1
    assert "cells, the subset says" in found.what


def test_every_chunk_is_of_one_part_and_has_what_the_census_has_in_the_order_of_the_plan(
    chosen: Ingested, census: soma.Collection
) -> None:
    in_order = load_table(chosen.store, chosen.plan.header.obs_path).to_pandas()
    part_of = obs_of(chosen).set_index("soma_joinid").split
    assert sorted(in_order.soma_joinid) == part_of.index.tolist()
    assert len({chunk.pool for chunk in chosen.plan.chunks}) > 2
    for chunk in chosen.plan.chunks:
        adata = chosen.read(chunk)
        joinids = adata.obs.soma_joinid.to_numpy()
        assert joinids.tolist() == in_order.soma_joinid[chunk.row_start : chunk.row_stop].tolist()
        assert set(part_of.loc[joinids]) == {chunk.split} == {adata.uns["cxg_assets"]["split"]}
        expected = get_anndata(census, HUMAN, obs_coords=joinids, var_coords=adata.var.soma_joinid.to_numpy())
        places = np.searchsorted(np.sort(joinids), joinids)
        assert (expected.X[places] != adata.X).nnz == 0
        assert adata.obs.donor_id.tolist() == expected.obs.donor_id.iloc[places].tolist()
    assert not all(chosen.read(chunk).obs.soma_joinid.is_monotonic_increasing for chunk in chosen.plan.chunks)


def test_a_chunk_that_is_made_alone_is_the_same_file(chosen: Ingested, tmp_path: Path) -> None:
    chunk = chosen.plan.chunks[1]
    before = chosen.file(chunk).read_bytes()
    chosen.file(chunk).unlink()

    reports, failures = run_spans(chosen.job, [Span((chunk,))])

    assert (len(reports), failures) == (1, [])
    assert chosen.file(chunk).read_bytes() == before


def test_dataset_card_manifest_and_loader_know_the_parts(chosen: Ingested) -> None:
    dataset = publish(chosen.store, chosen.plan, chosen.reports, chosen.census)

    manifest = read_manifest(chosen.store.get(dataset.manifest_path))
    assert [row.split for row in manifest] == [chunk.split for chunk in chosen.plan.chunks]
    card = chosen.store.get(card_path(chosen.spec.name, dataset.header.plan_id)).decode()
    train, validation, test = chosen.subset.parts.values()
    assert f"train {train:,}, validation {validation:,}, test {test:,} cells" in card
    assert "| Sample | by cell_type, at_least 10, at_most 120, seed 3" in card
    assert f"| Order | {chosen.spec.order.kind}, seed 0, in pools of 180 cells" in card
    loaded = load_dataset(chosen.store, chosen.spec.name, split="validation")
    cells: Any = anndata.concat(list(loaded.chunks([chunk.key for chunk in loaded.plan.chunks]).values()))
    assert len(cells) == validation
    assert set(cells.obs.donor_id) == set(obs_of(chosen).query("split == 'validation'").donor_id)
    assert verify_plan(chosen.plan, chosen.store).passed
    with pytest.raises(BadInput, match="split: 'dev' is no part of blood_normal; it has train, validation, test"):
        load_dataset(chosen.store, chosen.spec.name, split="dev")


def test_all_that_is_published_is_verified_deep(chosen: Ingested) -> None:
    dataset = publish(chosen.store, chosen.plan, chosen.reports, chosen.census)
    if (pieces := chosen.job.pieces) is not None:
        remove_pieces(chosen.store, pieces)

    assert verify(chosen.store, dataset, chosen.census) == []


def test_a_dataset_without_a_split_has_no_parts_to_load(blood: Ingested, tmp_path: Path) -> None:
    publish(blood.store, blood.plan, blood.reports, blood.census)

    with pytest.raises(BadInput, match="split: 'train' is no part of blood_normal; it was made without a split"):
        load_dataset(blood.store, blood.spec.name, split="train")


@pytest.mark.parametrize(
    "change",
    [
        {"sample": replace(SAMPLE, seed=4)},
        {"sample": replace(SAMPLE, at_most=119)},
        {"sample": None},
        {"split": replace(SPLIT, seed=4)},
        {"split": replace(SPLIT, by=("dataset_id",))},
        {"split": None},
    ],
    ids=str,
)
def test_a_plan_is_refused_when_the_yaml_chooses_something_else(chosen: Ingested, change: dict[str, Any]) -> None:
    [attribute] = change

    with pytest.raises(BadInput, match=f"no longer selects what filtered_subset has: {attribute} was `by "):
        store_plan(replace(chosen.spec, **change), chosen.subset, chosen.store)


def test_seeds_that_draw_nothing_move_no_fingerprint(
    ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path: Path
) -> None:
    held_out = Split(by=("dataset_id",), held_out={"test": ("b", "a")})
    first = spec(value_filter=FILTER, sample=Sample(by=("cell_type",), at_least=10, seed=1))

    assert replace(held_out, seed=9).canonical == replace(held_out, held_out={"test": ("a", "b", "a")}).canonical
    assert first.sample is not None
    assert replace(first.sample, seed=2).canonical == first.sample.canonical
    assert replace(first.sample, fraction=0.5, seed=2).canonical != replace(first.sample, fraction=0.5).canonical


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample": Sample(by=("celltype",), at_most=1)}, "sample.by: obs has no 'celltype'; it has "),
        ({"split": Split(by=("donor",), shares={"a": 0.5, "b": 0.5})}, "split.by: obs has no 'donor'; it has "),
        ({"split": Split(shares={"a": 0.5, "b": 0.5}, stratify="x")}, "split.stratify: obs has no 'x'; it has "),
        (
            {"split": Split(by=("dataset_id",), held_out={"test": ("no such",)})},
            "split.held_out.test: no cell has dataset_id no such; take it out",
        ),
        ({"sample": Sample(by=("cell_type",), at_least=10**6)}, "sample: no cell is left of "),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_obs_does_not_have_is_named(
    ingest: Ingest, spec: Callable[..., SubsetSpec], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        ingest(spec(value_filter=FILTER, **change), tmp_path.as_uri())

    assert str(caught.value).startswith(message)
    assert list(tmp_path.rglob("*.feather")) == []


def test_max_obs_cuts_what_the_sample_kept(
    ingest: Ingest, spec: Callable[..., SubsetSpec], all_cells: pd.DataFrame, tmp_path: Path
) -> None:
    made = ingest(spec(value_filter=FILTER, sample=SAMPLE, max_obs=77), tmp_path.as_uri())

    assert obs_of(made).soma_joinid.tolist() == kept_by(all_cells, SAMPLE).soma_joinid.tolist()[:77]
