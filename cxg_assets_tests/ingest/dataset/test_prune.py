"""Pruning removes what nobody needs, never what is published, and can be killed at any point."""

import os
import time
from datetime import timedelta

import pytest

from cxg_assets.ingest.dataset.inventory import take_inventory
from cxg_assets.ingest.dataset.prune import prune
from cxg_assets.ingest.dataset.publish import publish
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.layout import dataset_path, plan_path, subset_json_path
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.storage.store import Store, StoreLocator
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets_tests.conftest import Bucket, Ingest
from cxg_assets_tests.ingest.four_plans import (
    DAY,
    NAME,
    MakeSpec,
    by_place,
    folder,
    going,
    make_old,
    make_plans,
    of_plan,
    plan_id,
)
from cxg_assets_tests.ingested import Ingested


@pytest.mark.parametrize("keep", [0, 1, 2, 3])
def test_what_is_published_stays_and_the_newest_others(plans: list[Ingested], keep: int) -> None:
    store = plans[0].store
    first, published, third, last = plans
    goes = {0: [first, third, last], 1: [first, third], 2: [first], 3: []}[keep]

    inventory = take_inventory(store, NAME, keep)

    assert going(inventory) == set().union(*map(of_plan, goes))
    assert by_place(inventory)[plan_id(published)].why == "published"
    prune(store, inventory)
    assert verify(store, read_dataset(store, NAME), published.census) == []
    assert take_inventory(store, NAME, keep).going == ()
    left = [made for made in plans if made not in goes]
    assert {path.split("/")[1] for path in store.sizes(NAME)} == {"dataset.json", "subset", *map(plan_id, left)}


def test_a_plan_and_a_subset_on_record_stay(plans: list[Ingested]) -> None:
    first, _, third, last = plans

    inventory = take_inventory(plans[0].store, NAME, 0, on_record=[plan_id(first), last.subset.fingerprint])

    assert going(inventory) == of_plan(third) | {plan_id(last)}
    assert by_place(inventory)[plan_id(first)].why == "on record in Dagster"


def test_to_look_removes_nothing(plans: list[Ingested]) -> None:
    before = plans[0].store.sizes("")

    take_inventory(plans[0].store, NAME, 0)

    assert plans[0].store.sizes("") == before


def test_an_entry_tells_what_a_plan_is(plans: list[Ingested]) -> None:
    inventory = take_inventory(plans[0].store, NAME, 1)

    entry = by_place(inventory)[plan_id(plans[3])]
    sizes = plans[3].store.sizes(entry.place)
    assert (entry.kind, entry.n_chunks, entry.n_bytes) == ("plan", len(plans[3].plan.chunks), sum(sizes.values()))
    newest = max(file.stat().st_mtime for file in folder(plans[3]).iterdir())
    assert entry.modified.timestamp() == pytest.approx(newest)
    assert entry.why == "one of the newest"
    places = [entry.place for entry in inventory.entries if entry.kind == "plan"]
    assert places == [f"{NAME}/{plan_id(made)}" for made in plans[::-1]]


@pytest.mark.parametrize("n_removed", range(7))
def test_when_it_was_killed_the_next_one_removes_the_rest(plans: list[Ingested], n_removed: int) -> None:
    """Objects are removed in the order of an entry's paths; a kill leaves the last of them."""
    store = plans[0].store
    inventory = take_inventory(store, NAME, 0)
    paths = [path for entry in inventory.going for path in entry.objects]
    for path in paths[: len(paths) * n_removed // 6]:
        store.delete(path)

    prune(store, take_inventory(store, NAME, 0))

    assert not set(paths) & set(store.sizes(""))
    assert verify(store, read_dataset(store, NAME), None) == []


def test_of_a_plan_the_plan_goes_first_and_then_the_manifest(plans: list[Ingested]) -> None:
    store = plans[3].store
    publish(store, plans[3].plan, plans[3].reports, plans[3].census)

    entry = by_place(take_inventory(store, NAME, 0))[plan_id(plans[1])]

    assert entry.goes
    first, second, *_ = entry.objects
    assert first.endswith("/plan.parquet")
    assert second.endswith("/manifest.parquet")


def test_unreferenced_objects_and_folders_without_a_plan_go(plans: list[Ingested]) -> None:
    store = plans[0].store
    kept = plan_id(plans[1])
    unreferenced = [f"{kept}/notes.txt", f"{kept}/00000-0123456789abcdef.h5ad", "0123456789abcdef/00000-1.h5ad"]
    for path in unreferenced:
        store.put(f"{NAME}/{path}", b"1")
    make_old(folder(plans[1]).parent, 30 * DAY)

    inventory = take_inventory(store, NAME, 3)

    assert going(inventory) == set(unreferenced)
    prune(store, inventory)
    assert verify(store, read_dataset(store, NAME), None) == []
    assert not set(unreferenced) & {path.removeprefix(f"{NAME}/") for path in store.sizes(NAME)}


@pytest.mark.parametrize(
    "path",
    [
        "index/2025/homo_sapiens.feather",
        "lung_normal/0123456789abcdef/00000-1.h5ad",
        f"{NAME}_2/0123456789abcdef/00000-1.h5ad",
        f"{NAME}/notes.txt",
        f"{NAME}/other/dataset.json",
        f"{NAME}/other/0123456789abcdef/00000-1.h5ad",
        f"{NAME}/subset/0123456789abcdef/plan.parquet",
    ],
)
def test_what_has_not_a_name_of_the_subset_is_not_touched(plans: list[Ingested], path: str) -> None:
    store = plans[0].store
    store.put(path, b"1")

    inventory = take_inventory(store, NAME, 0)

    assert path not in [path for entry in inventory.entries for path in entry.objects]
    prune(store, inventory)
    assert store.get(path) == b"1"


@pytest.mark.parametrize("text", [b"", b"{}", b"not json"])
def test_where_it_is_not_known_what_is_published_nothing_is_pruned(plans: list[Ingested], text: bytes) -> None:
    store = plans[0].store
    store.put(dataset_path(NAME), text)

    with pytest.raises(CxgError, match=r"dataset\.json is not of this version .* Nothing is pruned"):
        take_inventory(store, NAME, 0)


def test_where_nothing_is_published_the_newest_stay(plans: list[Ingested]) -> None:
    store = plans[0].store
    store.delete(dataset_path(NAME))

    assert going(take_inventory(store, NAME, 2)) == of_plan(plans[0]) | of_plan(plans[1])


def test_when_another_plan_is_published_meanwhile_the_rest_is_left(plans: list[Ingested]) -> None:
    store = plans[0].store
    inventory = take_inventory(store, NAME, 0)
    publish(store, plans[2].plan, plans[2].reports, plans[2].census)
    before = store.sizes("")

    with pytest.raises(CxgError, match=f"plan {plan_id(plans[2])} is published now, {plan_id(plans[1])} was"):
        prune(store, inventory)

    assert store.sizes("") == before


@pytest.mark.parametrize("damage", [None, b"no parquet"])
@pytest.mark.parametrize("number", [0, 1])
def test_of_a_plan_that_stays_but_cannot_be_read_nothing_goes(
    plans: list[Ingested], number: int, damage: bytes | None
) -> None:
    """The first is on record, the second is published. All subsets stay, as it may use any."""
    store = plans[0].store
    path = plan_path(NAME, plan_id(plans[number]))
    store.delete(path)
    if damage is not None:
        store.put(path, damage)
    chunks = {plans[number].plan.path(chunk) for chunk in plans[number].plan.chunks}

    inventory = take_inventory(store, NAME, 0, on_record=[plan_id(plans[0])])

    assert going(inventory) == {plan_id(plans[2]), plan_id(plans[3])}
    prune(store, inventory)
    assert chunks <= set(store.sizes(NAME))


def test_what_a_killed_writer_left_goes_after_an_hour(plans: list[Ingested]) -> None:
    names = ["00000-1.h5ad#1", "manifest.parquet#2"]
    for name in names:
        (folder(plans[1]) / name).write_bytes(b"1")
    hours_ago = time.time() - 2 * 3600
    os.utime(folder(plans[1]) / names[0], (hours_ago, hours_ago))

    inventory = take_inventory(plans[0].store, NAME, 3, unreferenced=True)

    assert going(inventory) == {f"{plan_id(plans[1])}/{names[0]}"}
    prune(plans[0].store, inventory)
    assert not (folder(plans[1]) / names[0]).exists()
    assert (folder(plans[1]) / names[1]).exists()


def test_of_a_subset_the_json_goes_first(plans: list[Ingested]) -> None:
    entry = by_place(take_inventory(plans[0].store, NAME, 0))[f"subset/{plans[0].subset.fingerprint[:16]}"]

    assert next(iter(entry.objects)) == subset_json_path(NAME, plans[0].subset.fingerprint)
    assert len(entry.objects) == 3


def test_it_prunes_in_s3(ingest: Ingest, spec: MakeSpec, s3: Bucket) -> None:
    made = make_plans(ingest, spec, s3.locator())
    store: Store = made[0].store
    publish(store, made[0].plan, made[0].reports, made[0].census)
    store.put(f"{NAME}/{plan_id(made[0])}/notes", b"1")

    prune(store, take_inventory(store, NAME, 0, older_than=timedelta(0)))

    assert verify(store, read_dataset(store, NAME), made[0].census) == []
    folders = {path.split("/")[1] for path in store.sizes(NAME)}
    assert folders == {"dataset.json", "subset", plan_id(made[0])}


def test_an_empty_destination_has_nothing_to_prune(store_url: str) -> None:
    assert take_inventory(StoreLocator(url=store_url).open(), NAME, 0).entries == ()
