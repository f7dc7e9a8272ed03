"""What is young, or marked by a run, is never pruned, whatever comes between the look and the removal."""

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from cxg_assets.ingest.dataset.inventory import in_words, take_inventory
from cxg_assets.ingest.dataset.prune import prune
from cxg_assets.ingest.errors import StoreError
from cxg_assets.ingest.layout import mark_path, plan_path
from cxg_assets.ingest.plan.chunk_plan import load_plan
from cxg_assets.ingest.plan.plan_mark import COUNTS_FOR, marked
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.verify.dataset import verify
from cxg_assets_tests.ingest.four_plans import DAY, NAME, by_place, folder, going, make_old, of_plan, plan_id
from cxg_assets_tests.ingested import Ingested

NO_RETENTION = timedelta(0)
RUN = "5f1d9bd4-0000-4000-8000-000000000000"


def put_mark(made: Ingested, seconds_old: float = 0.0) -> str:
    """Leaves the mark of a run. Returns its path."""
    path = mark_path(NAME, plan_id(made), RUN)
    with marked(made.locator, NAME, plan_id(made), RUN, "writes chunks"):
        data = made.store.get(path)
    made.store.put(path, data)
    file = folder(made) / Path(path).name
    os.utime(file, (time.time() - seconds_old, time.time() - seconds_old))
    return path


@pytest.mark.parametrize("newest", ["plan.parquet", "chunk", "anything"])
def test_a_plan_with_an_object_of_this_week_stays_with_its_subset(plans: list[Ingested], newest: str) -> None:
    young = plans[0]
    names = {"plan.parquet": "plan.parquet", "chunk": young.file(young.plan.chunks[0]).name, "anything": "notes.txt"}
    file = folder(young) / names[newest]
    file.touch()
    make_old(file, 6.9 * DAY)

    inventory = take_inventory(young.store, NAME, 0)

    assert not going(inventory) & of_plan(young)
    assert by_place(inventory)[plan_id(young)].why == "younger than 7 days"
    assert by_place(inventory)[f"subset/{young.subset.fingerprint[:16]}"].why == f"plan {plan_id(young)} uses it"
    assert of_plan(young) <= going(take_inventory(young.store, NAME, 0, older_than=timedelta(days=6)))


def test_a_young_subset_stays_though_no_plan_uses_it(plans: list[Ingested]) -> None:
    store, place = plans[0].store, f"subset/{plans[0].subset.fingerprint[:16]}"
    make_old(folder(plans[0]).parent / place, 1 * DAY)

    assert by_place(take_inventory(store, NAME, 0))[place].why == "younger than 7 days"
    assert place in going(take_inventory(store, NAME, 0, older_than=timedelta(hours=12)))


@pytest.mark.parametrize("path", ["{kept}/notes.txt", "0123456789abcdef/00000-1.h5ad"])
def test_a_young_object_that_nothing_refers_to_goes_only_when_it_is_said(plans: list[Ingested], path: str) -> None:
    store, path = plans[1].store, path.format(kept=plan_id(plans[1]))
    store.put(f"{NAME}/{path}", b"1")

    assert path not in going(take_inventory(store, NAME, 0))
    assert by_place(take_inventory(store, NAME, 0))[path].why.endswith(", but younger than 7 days")
    assert path in going(take_inventory(store, NAME, 0, unreferenced=True))
    assert path in going(take_inventory(store, NAME, 0, older_than=NO_RETENTION))


def test_a_marked_plan_stays_whatever_is_asked_and_it_is_said_who_writes(plans: list[Ingested]) -> None:
    store, writing = plans[0].store, plans[0]
    (folder(writing) / "notes.txt").touch()
    with marked(writing.locator, NAME, plan_id(writing), RUN, "writes chunks"):
        inventory = take_inventory(store, NAME, 0, older_than=NO_RETENTION, unreferenced=True)
        prune(store, inventory)

    assert by_place(inventory)[plan_id(writing)].why.startswith(f"run {RUN} on ")
    assert f"(process {os.getpid()}) writes chunks since 20" in by_place(inventory)[plan_id(writing)].why
    assert going(inventory) == of_plan(plans[2]) | of_plan(plans[3])
    assert (folder(writing) / "notes.txt").exists()
    assert load_plan(store, NAME, plan_id(writing)).header == writing.plan.header
    assert of_plan(writing) <= going(take_inventory(store, NAME, 0, older_than=NO_RETENTION))


def test_two_runs_may_mark_one_plan_and_it_stays_until_both_have_ended(plans: list[Ingested]) -> None:
    store, plan, locator = plans[0].store, plan_id(plans[0]), plans[0].locator
    with marked(locator, NAME, plan, RUN, "writes chunks"):
        with marked(locator, NAME, plan, RUN.replace("5", "6"), "publishes"):
            why = by_place(take_inventory(store, NAME, 0))[plan].why
            assert "writes chunks since" in why
            assert "publishes since" in why
        assert "writes chunks since" in by_place(take_inventory(store, NAME, 0))[plan].why
    assert plan in going(take_inventory(store, NAME, 0, older_than=NO_RETENTION))


def test_the_mark_of_a_killed_run_counts_no_more_after_a_while(plans: list[Ingested]) -> None:
    store, plan = plans[0].store, plan_id(plans[0])
    put_mark(plans[0], COUNTS_FOR.total_seconds() - 60)
    assert plan not in going(take_inventory(store, NAME, 0, older_than=NO_RETENTION))

    put_mark(plans[0], COUNTS_FOR.total_seconds() + 60)
    # The run was here today: by default its plan stays for a week.
    assert plan not in going(take_inventory(store, NAME, 0))
    inventory = take_inventory(store, NAME, 0, older_than=NO_RETENTION)
    assert plan in going(inventory)
    prune(store, inventory)
    assert not folder(plans[0]).exists()


def test_the_mark_of_a_killed_run_in_a_plan_that_stays_is_removed_when_it_is_old(plans: list[Ingested]) -> None:
    store, path = plans[1].store, put_mark(plans[1], 8 * DAY)

    prune(store, take_inventory(store, NAME, 3))

    assert not store.exists(path)
    assert verify(store, read_dataset(store, NAME), None) == []


@pytest.mark.parametrize("seconds_old", [0.0, 8 * DAY])
def test_a_mark_is_no_fault_of_a_dataset(plans: list[Ingested], seconds_old: float) -> None:
    put_mark(plans[1], seconds_old)

    assert verify(plans[1].store, read_dataset(plans[1].store, NAME), None) == []


@pytest.mark.parametrize("content", [b"", b"[]", b'{"run_id": "x"}'])
def test_a_mark_that_cannot_be_read_counts_as_well(plans: list[Ingested], content: bytes) -> None:
    store = plans[0].store
    store.put(mark_path(NAME, plan_id(plans[0]), RUN), content)

    inventory = take_inventory(store, NAME, 0, older_than=NO_RETENTION)

    assert by_place(inventory)[plan_id(plans[0])].why.startswith("a run writes here, by its mark ")


def test_a_run_that_marks_its_plan_after_the_look_is_seen_before_the_removal(plans: list[Ingested]) -> None:
    store, before = plans[0].store, plans[0].store.sizes(f"{NAME}/{plan_id(plans[0])}")
    inventory = take_inventory(store, NAME, 0)
    with marked(plans[0].locator, NAME, plan_id(plans[0]), RUN, "writes chunks"):
        left = prune(store, inventory)

    assert store.sizes(f"{NAME}/{plan_id(plans[0])}") == before
    assert left[0].why.startswith(f"run {RUN} on ")
    # Which subset that plan uses was not looked up: all stay for once.
    assert {entry.place for entry in left[1:]} == {entry.place for entry in inventory.going if entry.kind == "subset"}
    assert plan_id(plans[2]) not in going(take_inventory(store, NAME, 0))
    assert not folder(plans[2]).exists()


def after_removal_of(path: str, made: Ingested, what: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets something happen right after an object was removed by `made.store`."""
    delete = made.store.delete

    def delete_then(removed: str) -> None:
        delete(removed)
        if removed == path:
            what()

    monkeypatch.setattr(made.store, "delete", delete_then)


def test_a_run_that_marks_its_plan_while_it_is_being_removed_gets_the_plan_back(
    plans: list[Ingested], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, path = plans[0], plan_path(NAME, plan_id(plans[0]))
    before = made.store.sizes(f"{NAME}/{plan_id(made)}")
    after_removal_of(path, made, lambda: put_mark(made), monkeypatch)

    left = prune(made.store, take_inventory(made.store, NAME, 0))

    assert left[0].why.startswith(f"run {RUN} on ")
    assert before.items() <= made.store.sizes(f"{NAME}/{plan_id(made)}").items()
    assert load_plan(made.store, NAME, plan_id(made)).chunks == made.plan.chunks


def test_a_plan_that_is_planned_anew_while_it_is_being_removed_stays(
    plans: list[Ingested], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, path = plans[0], plan_path(NAME, plan_id(plans[0]))
    data = made.store.get(path)
    after_removal_of(path, made, lambda: made.store.put(path, data), monkeypatch)

    left = prune(made.store, take_inventory(made.store, NAME, 0))

    assert (left[0].place, left[0].why) == (f"{NAME}/{plan_id(made)}", "was written to meanwhile")
    assert made.store.sizes(f"{NAME}/{plan_id(made)}").keys() >= {made.plan.path(chunk) for chunk in made.plan.chunks}


def test_chunks_in_a_folder_without_a_plan_stay_when_it_is_planned_anew_meanwhile(plans: list[Ingested]) -> None:
    made, path = plans[0], plan_path(NAME, plan_id(plans[0]))
    data = made.store.get(path)
    made.store.delete(path)
    inventory = take_inventory(made.store, NAME, 3)
    made.store.put(path, data)

    left = prune(made.store, inventory)

    assert {entry.why for entry in left if entry.kind == "unreferenced"} == {"its folder has a plan now"}
    assert made.store.sizes(f"{NAME}/{plan_id(made)}").keys() >= {made.plan.path(chunk) for chunk in made.plan.chunks}


def test_a_prune_that_was_killed_after_the_plan_went_is_finished_by_the_next_one(
    plans: list[Ingested], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, path = plans[0], plan_path(NAME, plan_id(plans[0]))

    def kill() -> None:
        raise StoreError("killed")

    with monkeypatch.context() as patched:
        after_removal_of(path, made, kill, patched)
        with pytest.raises(StoreError, match="killed"):
            prune(made.store, take_inventory(made.store, NAME, 3 - 1))
    assert folder(made).exists()

    prune(made.store, take_inventory(made.store, NAME, 2))

    assert not folder(made).exists()
    assert verify(made.store, read_dataset(made.store, NAME), None) == []


def test_a_plan_that_was_removed_says_so_where_it_is_read(plans: list[Ingested]) -> None:
    store, plan = plans[0].store, plan_id(plans[0])
    prune(store, take_inventory(store, NAME, 0))

    with pytest.raises(FileNotFoundError) as raised:
        load_plan(store, NAME, plan)

    assert str(raised.value) == (
        f"{store.uri(plan_path(NAME, plan))} is not there: plan {plan} of {NAME} was removed after it was made, by "
        f"cxg-assets prune or by hand; cxg-assets ingest {NAME} plans again and writes the missing chunks"
    )


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(days=7), "7 days"),
        (timedelta(hours=24), "1 day"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(0), "0 minutes"),
    ],
)
def test_a_retention_is_told_in_its_largest_whole_unit(span: timedelta, words: str) -> None:
    assert in_words(span) == words
