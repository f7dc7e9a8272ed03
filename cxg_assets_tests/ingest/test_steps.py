"""Each step goes from store to store, and what is there already is not made again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cxg_assets.ingest.census.census import CensusLocator
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.layout import index_json_path, index_path
from cxg_assets.ingest.plan.chunk_plan import load_plan
from cxg_assets.ingest.plan.making import store_plan
from cxg_assets.ingest.plan.stored import stored_sizes
from cxg_assets.ingest.selection.index import as_indexed, load_index, make_index
from cxg_assets.ingest.selection.subset import load_subset, make_subset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets_tests.conftest import Bucket
from cxg_assets_tests.ingested import Ingested

MakeSpec = Callable[..., SubsetSpec]


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, store_url: str) -> Store:
    if request.param == "folder":
        return StoreLocator(url=store_url).open()
    bucket: Bucket = request.getfixturevalue("s3")
    return bucket.locator().open()


def test_every_step_can_be_loaded_again(release: Release, spec: MakeSpec, store: Store) -> None:
    census = release.locator({})
    wanted = spec(max_obs=100)

    index = make_index(census, release, "homo_sapiens", store)
    subset = make_subset(wanted, index, store, census, store)
    plan = store_plan(wanted, subset, store)

    assert load_index(store, release.version, "homo_sapiens") == index
    assert load_subset(store, "blood_normal", subset.fingerprint) == subset
    assert load_plan(store, "blood_normal", plan.header.plan_id) == plan
    assert stored_sizes(store, plan) == {}


def test_an_index_is_made_once_a_release(release: Release, store_url: str, tmp_path: Path) -> None:
    store = StoreLocator(url=store_url).open()
    index = make_index(release.locator({}), release, "mus_musculus", store)
    nowhere = CensusLocator(uri=str(tmp_path / "nowhere"))

    assert make_index(nowhere, release, "mus_musculus", store) == index


def test_a_release_with_an_index_is_read_as_of_the_time_of_the_index(release: Release, store: Store) -> None:
    later = replace(release, name="stable", timestamp_ms=release.timestamp_ms + 5)

    assert as_indexed(later, "mus_musculus", store) == later
    make_index(release.locator({}), release, "mus_musculus", store)

    assert as_indexed(later, "mus_musculus", store) == replace(release, name="stable")
    assert as_indexed(later, "homo_sapiens", store) == later
    rebuilt = replace(later, fingerprint="0" * 64)
    assert as_indexed(rebuilt, "mus_musculus", store) == rebuilt


def test_an_index_counts_only_when_it_was_finished(release: Release, store_url: str) -> None:
    store = StoreLocator(url=store_url).open()
    index = make_index(release.locator({}), release, "mus_musculus", store)
    store.delete(index_json_path(release.version, "mus_musculus"))
    store.put(index_path(release.version, "mus_musculus"), b"half of it")

    assert make_index(release.locator({}), release, "mus_musculus", store) == index
    assert store.sizes("index")[index_path(release.version, "mus_musculus")] == index.n_bytes


def test_planning_again_gives_the_same_plan_and_another_chunk_size_another(
    blood: Ingested, spec: MakeSpec, store_url: str
) -> None:
    again = store_plan(blood.spec, blood.subset, blood.store)
    other = store_plan(replace(blood.spec, chunk_size=77), blood.subset, blood.store)

    assert again == blood.plan
    assert other.header.plan_id != blood.plan.header.plan_id
    assert other.header.subset.fingerprint == blood.plan.header.subset.fingerprint


def test_stored_are_the_chunks_of_the_plan_and_no_other_files(blood: Ingested) -> None:
    assert stored_sizes(blood.store, blood.plan) == {report.chunk: report.n_bytes for report in blood.reports}

    other = replace(blood.plan, chunks=tuple(replace(chunk, fingerprint="0" * 64) for chunk in blood.plan.chunks))

    assert stored_sizes(blood.store, other) == {}


def test_what_was_not_made_is_not_found(release: Release, store: Store) -> None:
    with pytest.raises(FileNotFoundError, match=r"homo_sapiens\.json is not there"):
        load_index(store, release.version, "homo_sapiens")
    with pytest.raises(FileNotFoundError, match=r"blood/subset/0000000000000000/subset\.json is not there"):
        load_subset(store, "blood", "0" * 64)
    with pytest.raises(FileNotFoundError, match=r"blood/p1/plan\.parquet is not there"):
        load_plan(store, "blood", "p1")
