"""Removes what an inventory says (`inventory.py`), and looks again right before whether it may.

Between a look and a removal another machine may begin to write a plan, publish one, or plan anew. Of a plan
plan.parquet goes first: from then on no run begins on it, and a run that began before has marked it by then
(`plan_mark.py`).
"""

import contextlib
import itertools
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from cxg_assets.ingest.dataset.inventory import (
    Entry,
    Inventory,
    Objects,
    newest,
    published_plan,
    removal_order,
    sort_objects,
)
from cxg_assets.ingest.errors import CxgError
from cxg_assets.ingest.layout import is_chunk, plan_path
from cxg_assets.ingest.plan.plan_mark import writers
from cxg_assets.ingest.storage.local import is_staged, remove_staged
from cxg_assets.ingest.storage.store import Store

N_DELETES = 8
"""Objects that are removed at once."""


def prune(store: Store, inventory: Inventory) -> tuple[Entry, ...]:
    """Removes what an inventory says, unless it has come into use since.

    Plans go before subsets. Whenever this is killed, the next inventory finds what is left: of a plan whose removal had
    begun, as objects in a folder without a plan.

    Returns:
        What was to go and stays, each with the reason.

    Raises:
        CxgError: dataset.json points to another plan than when the inventory was taken; the rest was left.
        StoreError: The store did not remove an object.
    """
    stay: list[Entry] = []
    with ThreadPoolExecutor(N_DELETES) as pool:
        for entry in inventory.going:
            if entry.kind == "plan":
                _require_same_pointer(store, inventory)
                why = _remove_plan(store, inventory.subset, entry, pool)
                stay += [replace(entry, why=why, goes=False)] if why else []
        others = [entry for entry in inventory.going if entry.kind != "plan"]
        if others:
            _require_same_pointer(store, inventory)
            stay += _remove_others(store, inventory, others, pool)
    return tuple(stay)


def _require_same_pointer(store: Store, inventory: Inventory) -> None:
    published = published_plan(store, inventory.subset)
    if published != inventory.published:
        raise CxgError(
            f"{inventory.subset}: plan {published or 'none'} is published now, {inventory.published or 'none'} "
            "was when this began; nothing more was removed. Run it again"
        )


def _remove_plan(store: Store, subset_name: str, entry: Entry, pool: ThreadPoolExecutor) -> str:
    """Removes a plan's folder. Returns why it was left; empty when it was not."""
    plan_id = entry.place.removeprefix(f"{subset_name}/")
    path = plan_path(subset_name, plan_id)
    if why := _came_into_use(store, entry, store.objects(entry.place)):
        return why
    plan = None
    with contextlib.suppress(FileNotFoundError):  # somebody else removes it as well
        plan = store.get(path)
        store.delete(path)
    objects = store.objects(entry.place)
    if why := _came_into_use(store, entry, objects):
        if plan is not None and path not in objects:
            store.put(path, plan)
        return why
    _delete_all(store, removal_order(subset_name, plan_id, objects), pool)
    return ""


def _came_into_use(store: Store, entry: Entry, objects: Objects) -> str:
    """Who writes to what was to go, or has done so since the inventory; empty when nobody does."""
    return writers(store, objects) or _written_since(entry, objects)


def _written_since(entry: Entry, objects: Objects) -> str:
    return "was written to meanwhile" if objects and newest(objects) > entry.modified else ""


def _remove_others(
    store: Store, inventory: Inventory, entries: Collection[Entry], pool: ThreadPoolExecutor
) -> list[Entry]:
    """Removes subsets and unreferenced objects. Returns those that stay."""
    subset = inventory.subset
    objects = store.objects(subset)
    folders, _ = sort_objects(objects, subset)
    known = {entry.place for entry in inventory.entries if entry.kind == "plan" and not entry.goes}
    planned = {name for name, found in folders.items() if plan_path(subset, name) in found}
    # Planned since, or left in place above.
    new = sorted(name for name in planned if f"{subset}/{name}" not in known)
    marked = {name: who for name, found in folders.items() if (who := writers(store, found))}
    stay: list[Entry] = []
    for entry in entries:
        folder = entry.place.split("/")[1]
        why = _written_since(entry, {path: objects[path] for path in entry.objects if path in objects})
        if entry.kind == "subset" and new:
            why = f"plan {new[0]} has come into use and may use it"
        elif entry.kind == "unreferenced" and folder in new:
            why = "its folder has a plan now"
        elif entry.kind == "unreferenced" and folder in marked:
            why = marked[folder]
        if why:
            stay.append(replace(entry, why=why, goes=False))
        else:
            _delete_all(store, entry.objects, pool)
    return stay


def _delete_all(store: Store, paths: Iterable[str], pool: ThreadPoolExecutor) -> None:
    """Removes the first two one after the other, as their order counts, then chunks, then the others at once."""
    in_order = list(paths)
    for path in in_order[:2]:
        _delete(store, path)
    for some in (filter(is_chunk, in_order[2:]), itertools.filterfalse(is_chunk, in_order[2:])):
        list(pool.map(partial(_delete, store), some))


def _delete(store: Store, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # somebody else removed it
        if store.folder is not None and is_staged(path):
            remove_staged(store.folder / path)
        else:
            store.delete(path)
