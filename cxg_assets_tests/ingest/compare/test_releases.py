"""Two releases are compared as pandas compares their obs, cell by cell."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tiledbsoma as soma

from cxg_assets.ingest.census.release import read_release
from cxg_assets.ingest.compare.cells import COUNTS, LABELS
from cxg_assets.ingest.compare.changes import ReleaseChanges
from cxg_assets.ingest.compare.releases import Edition, compare_releases
from cxg_assets.ingest.dataset import since_release
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.dataset.since_release import changes_since_published
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.layout import card_path, index_json_path, index_path
from cxg_assets.ingest.records import encode
from cxg_assets.ingest.selection.index import make_index
from cxg_assets.ingest.selection.subset import Subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.feather import write_feather
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets_tests.conftest import WELL_MEASURED, Ingest

HUMAN = "homo_sapiens"
CELL = ["dataset_id", "observation_joinid"]
PRIMARY = "is_primary_data == True"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return StoreLocator(url=tmp_path_factory.mktemp("compared").as_uri()).open()


@pytest.fixture(scope="module")
def earlier(census_uri: str, store: Store) -> Edition:
    release = read_release("earlier", census_uri, None, {})
    return Edition(index=make_index(release.locator({}), release, HUMAN, store), census=release.locator({}))


@pytest.fixture(scope="module")
def obs(earlier: Edition, store: Store) -> pd.DataFrame:
    return pd.read_feather(store.folder / index_path(earlier.index.release.version, HUMAN))  # type: ignore[operator]


@pytest.fixture(scope="module")
def later_uri(census_uri: str, obs: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same Census a build later: two datasets in another version, a gene with another id, one with another name."""
    path = tmp_path_factory.mktemp("later") / "census"
    shutil.copytree(census_uri, path)

    def datasets(table: pd.DataFrame) -> None:
        table.loc[table.dataset_id.isin(replaced(obs)), "dataset_version_id"] = "another"

    def var(table: pd.DataFrame) -> None:
        table.loc[0, "feature_id"], table.loc[1, "feature_name"] = "ENSG99999999999", "RENAMED"

    rewrite(path / "census_info" / "datasets", datasets)
    rewrite(path / "census_data" / HUMAN / "ms" / "RNA" / "var", var)
    return str(path)


def rewrite(uri: Path, change: Callable[[pd.DataFrame], None]) -> None:
    """Writes a table anew, with changes: the demo's tables would keep both rows of one joinid."""
    with soma.DataFrame.open(str(uri)) as opened:
        table = opened.read().concat().to_pandas()
    change(table)
    for folder in ("__fragments", "__commits"):
        shutil.rmtree(uri / folder)
        (uri / folder).mkdir()
    with soma.DataFrame.open(str(uri), "w") as opened:
        opened.write(pa.Table.from_pandas(table, opened.schema, preserve_index=False))


def replaced(obs: pd.DataFrame) -> list[str]:
    return list(obs.dataset_id.astype(str).unique()[:2])


@pytest.fixture(scope="module")
def changed(obs: pd.DataFrame) -> pd.DataFrame:
    """Obs of the later build: in another order, with cells gone, new and changed."""
    rng = np.random.default_rng(4)
    later = obs.sample(frac=0.9, random_state=1).reset_index(drop=True)
    later["soma_joinid"] = np.arange(len(later))
    later["cell_type"] = later.cell_type.astype(object)
    later.loc[rng.choice(len(later), 200, replace=False), "cell_type"] = "another cell type"
    later.loc[rng.choice(len(later), 100, replace=False), "raw_sum"] += 1
    later.loc[rng.choice(len(later), 50, replace=False), "is_primary_data"] ^= True
    fresh = rng.choice(len(later), 60, replace=False)
    later.loc[fresh, "observation_joinid"] = [f"new-{number}" for number in range(60)]
    return later.astype({"cell_type": "category"})


@pytest.fixture(scope="module")
def later(later_uri: str, earlier: Edition, changed: pd.DataFrame, store: Store) -> Edition:
    release = replace(read_release("later", later_uri, None, {}), build="2030-01-01")
    path = store.folder / index_path(release.version, HUMAN)  # type: ignore[operator]
    path.parent.mkdir(parents=True)
    table = pa.Table.from_pandas(changed, preserve_index=False)
    write_feather(path, iter(table.to_batches(max_chunksize=700)), table.schema)
    index = replace(earlier.index, release=release, n_obs=len(changed))
    store.put(index_json_path(release.version, HUMAN), encode(index))
    return Edition(index=index, census=release.locator({}))


def outer(obs: pd.DataFrame, changed: pd.DataFrame) -> Any:
    """Both, cell by cell, as pandas joins them."""
    as_text = dict.fromkeys((*CELL, *LABELS), object)
    return obs.astype(as_text).merge(changed.astype(as_text), on=CELL, how="outer", indicator=True)


@pytest.mark.parametrize("value_filter", [None, PRIMARY, "cell_type != 'another cell type'"])
def test_cells_are_new_gone_and_changed_as_pandas_says(
    value_filter: str | None, obs: pd.DataFrame, changed: pd.DataFrame, earlier: Edition, later: Edition, store: Store,
    spec: Callable[..., SubsetSpec],
) -> None:  # fmt: skip
    found = compare_releases(spec(value_filter=value_filter), earlier, later, store)

    before, after = (some if value_filter is None else some.query(value_filter) for some in (obs, changed))
    both = outer(before, after)
    shared = both[both._merge == "both"]
    other = {name: shared[f"{name}_x"] != shared[f"{name}_y"] for name in found.changed}
    assert set(found.changed) == {*LABELS, *COUNTS}
    assert (found.n_before, found.n_after) == (len(before), len(after))
    assert found.n_new == (both._merge == "right_only").sum()
    assert found.n_gone == (both._merge == "left_only").sum()
    assert found.n_changed == np.count_nonzero(np.any(list(other.values()), axis=0))
    assert found.changed == {name: mask.sum() for name, mask in other.items()}
    assert (found.before, found.after) == (earlier.index.release.build, "2030-01-01")


@pytest.fixture(scope="module")
def whole(earlier: Edition, later: Edition, store: Store, spec: Callable[..., SubsetSpec]) -> ReleaseChanges:
    return compare_releases(spec(value_filter=None, genes=None), earlier, later, store)


def test_labels_that_became_others_are_counted_the_most_first(
    whole: ReleaseChanges, obs: pd.DataFrame, changed: pd.DataFrame
) -> None:
    both = outer(obs, changed).query("_merge == 'both' and cell_type_x != cell_type_y")
    expected = both.groupby(["cell_type_x", "cell_type_y"]).size()

    told = [one for one in whole.relabellings if one.column == "cell_type"]

    assert {(one.before, one.after): one.n_obs for one in told} == expected.to_dict()
    counts = [one.n_obs for one in whole.relabellings]
    assert counts == sorted(counts, reverse=True)
    assert {one.column for one in whole.relabellings} == {"cell_type", "is_primary_data"}


def test_each_dataset_tells_its_cells_and_whether_it_is_another_version(
    whole: ReleaseChanges, obs: pd.DataFrame, changed: pd.DataFrame, census: soma.Collection
) -> None:
    both = outer(obs, changed)
    told = {one.dataset_id: one for one in whole.datasets}
    datasets = census["census_info"]["datasets"].read().concat().to_pandas().set_index("dataset_id")

    assert {name: one.n_new for name, one in told.items()} == counts(both[both._merge == "right_only"], told)
    assert {name: one.n_gone for name, one in told.items()} == counts(both[both._merge == "left_only"], told)
    assert {name: one.n_before for name, one in told.items()} == counts(obs, told)
    assert {name: one.n_after for name, one in told.items()} == counts(changed, told)
    assert {name for name, one in told.items() if one.is_replaced} == set(replaced(obs))
    assert all(one.title == datasets.dataset_title[name] for name, one in told.items())


def counts(cells: Any, names: Any) -> dict[str, int]:
    return cells.dataset_id.astype(str).value_counts().reindex(list(names), fill_value=0).to_dict()


def test_genes_are_compared_by_id_and_by_name(whole: ReleaseChanges, census: soma.Collection) -> None:
    first = census["census_data"][HUMAN].ms["RNA"].var.read().concat()["feature_id"][0].as_py()

    assert whole.genes_new == ("ENSG99999999999",)
    assert whole.genes_gone == (first,)
    assert whole.genes_renamed == 1


def test_the_same_release_has_no_difference(earlier: Edition, store: Store, spec: Callable[..., SubsetSpec]) -> None:
    found = compare_releases(spec(value_filter=PRIMARY), earlier, earlier, store)

    assert (found.n_new, found.n_gone, found.n_changed) == (0, 0, 0)
    assert (found.datasets, found.relabellings, found.genes_new, found.genes_gone) == ((), (), (), ())
    assert found.n_before == found.n_after > 0


def test_a_release_that_does_not_tell_cells_is_refused(
    earlier: Edition, later: Edition, changed: pd.DataFrame, store: Store, spec: Callable[..., SubsetSpec]
) -> None:
    release = replace(later.index.release, build="2022-01-01")
    path: Path = store.folder / index_path(release.version, HUMAN)  # type: ignore[operator]
    path.parent.mkdir(parents=True)
    table = pa.Table.from_pandas(changed.drop(columns="observation_joinid"), preserve_index=False)
    write_feather(path, iter(table.to_batches()), table.schema)
    old = Edition(index=replace(later.index, release=release), census=later.census)

    with pytest.raises(BadInput, match="obs has no observation_joinid in both releases: cells cannot be told"):
        compare_releases(spec(value_filter=None), old, earlier, store)


def test_a_dataset_tells_what_is_other_since_the_release_of_the_one_before(
    earlier: Edition, later: Edition, store: Store, spec: Callable[..., SubsetSpec], ingest: Ingest, tmp_path: Path
) -> None:
    wanted = spec(value_filter=PRIMARY, genes=WELL_MEASURED, chunk_size=5_000)
    made = ingest(wanted, tmp_path.as_uri())
    later_subset = replace(made.subset, release=later.index.release)

    def since(subset: Subset, index_store: Store = store) -> ReleaseChanges | None:
        return changes_since_published(wanted, subset, lambda release: release.locator({}), made.store, index_store)

    assert since(later_subset) is None  # nothing is published
    publish(made.store, made.plan, made.reports, made.census)
    assert since(made.subset) is None  # of the same release
    found = since(later_subset)
    assert found == compare_releases(wanted, earlier, later, store)
    assert found is not None
    assert found.n_new > 0
    other = ingest(spec(value_filter=PRIMARY, genes=WELL_MEASURED, chunk_size=1_500), tmp_path.as_uri())
    dataset = publish(other.store, other.plan, other.reports, other.census, since=found)
    assert found.in_words in dataset.changes
    card = other.store.get(card_path("blood_normal", other.plan.header.plan_id)).decode()
    assert f"- since Census build {found.before}: {found.n_new:,} new cells, {found.n_gone:,} gone, " in card
    with pytest.raises(CxgError, match=r"the index of build .* is not there"):
        since(later_subset, made.store)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(since_release, "MAX_OBS", 100)
        with pytest.raises(CxgError, match=f"cells of build {found.before} are more than 100"):
            since(later_subset)
