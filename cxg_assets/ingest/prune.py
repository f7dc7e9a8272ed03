"""Removes what a subset does not need any more: old plans, subsets that no plan uses, and objects of no plan.

Only `<destination>/<subset>/` is looked at. Census indexes are shared by subsets, and by machines; they stay. In there
only names that cxg_assets gives are touched: folders named by a fingerprint, `subset/` and `dataset.json`.

What is published is never removed. A plan that another machine is making may be, if that machine's Dagster instance
is not this one and newer plans were made than `keep`: then its run finds chunks missing when it publishes, and the
next run makes them.
"""

import contextlib
import re
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import pyarrow as pa

from cxg_assets.ingest.dataset import read_dataset
from cxg_assets.ingest.errors import CxgError, StoreError
from cxg_assets.ingest.folder import is_staged, remove_staged, staged_files
from cxg_assets.ingest.layout import (
    N_DIGITS,
    manifest_path,
    plan_folder,
    plan_path,
    subset_json_path,
    subset_obs_path,
    subset_var_path,
)
from cxg_assets.ingest.pipeline import load_plan
from cxg_assets.ingest.plan import ChunkPlan
from cxg_assets.ingest.store import Store
from cxg_assets.ingest.stored import Listed
from cxg_assets.ingest.verify import foreign_paths

STAGED_AGE = timedelta(hours=1)
"""What was put aside and is older is left of a writer that was killed; no put takes as long."""

N_DELETES = 8
"""Objects that are removed at once."""

_FINGERPRINT = re.compile(rf"[0-9a-f]{{{N_DIGITS}}}")
_OWN = re.compile(rf"(dataset\.json|(subset/)?{_FINGERPRINT.pattern}/[^/]+)#\d+")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A plan, a subset, or objects of no plan.

    Attributes:
        kind: What it is.
        place: Its folder, or the object, relative to the destination.
        n_chunks: Chunk files in it.
        n_bytes: Bytes of all of it.
        modified: When a plan was planned; of other entries the newest object.
        why: Why it is kept or goes.
        goes: It is to be removed.
        paths: Its objects, in the order in which they are removed.
    """

    kind: Literal["plan", "subset", "orphan"]
    place: str
    n_chunks: int
    n_bytes: int
    modified: datetime
    why: str
    goes: bool
    paths: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What lies in a subset's folder.

    Attributes:
        subset: Name of the subset.
        published: The plan that dataset.json pointed to; empty for none.
        entries: Plans, newest first; then subsets; then orphans.
    """

    subset: str
    published: str
    entries: tuple[Entry, ...]

    @property
    def going(self) -> tuple[Entry, ...]:
        """What is to be removed."""
        return tuple(entry for entry in self.entries if entry.goes)


def take_inventory(store: Store, subset: str, keep: int, on_record: Collection[str] = ()) -> Inventory:
    """Lists what lies in a subset's folder and decides what goes. Removes nothing.

    Args:
        store: The destination.
        subset: Name of the subset.
        keep: How many plans stay besides those that are published or on record, the newest ones.
        on_record: Plan ids, and fingerprints of subsets, that the Dagster instance has: they may be in the making.

    Raises:
        CxgError: dataset.json cannot be read.
    """
    published = _published(store, subset)
    folders, subsets = _sort(store.objects(subset), subset)
    plans = sorted(
        (plan_id for plan_id in folders if plan_path(subset, plan_id) in folders[plan_id]),
        key=lambda plan_id: (folders[plan_id][plan_path(subset, plan_id)].modified, plan_id),
        reverse=True,
    )
    kept = dict.fromkeys(on_record, "on record in Dagster") | ({published: "published"} if published else {})
    others = [plan_id for plan_id in plans if plan_id not in kept]
    kept |= dict.fromkeys(others[:keep], "one of the newest")
    users = {fingerprint[:N_DIGITS]: "on record in Dagster" for fingerprint in on_record}
    orphans: list[Entry] = []
    unreadable = ""
    for folder, objects in folders.items():
        if folder in kept:
            plan = _read_plan(store, subset, folder)
            if plan is None:
                unreadable = folder
                continue
            users[plan.header.subset_fingerprint[:N_DIGITS]] = f"plan {folder} uses it"
            orphans += [_orphan_entry(path, objects[path], "foreign") for path in foreign_paths(plan, objects)]
        elif folder not in plans:
            orphans += [_orphan_entry(path, listed, "its folder has no plan") for path, listed in objects.items()]
    orphans += [_orphan_entry(path, listed, "a writer was killed") for path, listed in _staged(store, subset).items()]
    unknown = f"plan {unreadable} is kept, cannot be read and may use it" if unreadable else ""
    return Inventory(
        subset=subset,
        published=published,
        entries=(
            *(_plan_entry(subset, plan_id, folders[plan_id], kept.get(plan_id, "")) for plan_id in plans),
            *(_subset_entry(subset, name, subsets[name], users.get(name, unknown)) for name in sorted(subsets)),
            *sorted(orphans, key=lambda orphan: orphan.place),
        ),
    )


def prune(store: Store, inventory: Inventory) -> None:
    """Removes what an inventory says.

    Plans go before subsets, and of a plan plan.parquet goes last: whenever this is killed, the next inventory finds
    what is left.

    Raises:
        CxgError: dataset.json points to another plan than when the inventory was taken; the rest was left.
        StoreError: The store did not remove an object.
    """
    with ThreadPoolExecutor(N_DELETES) as pool:
        for entry in inventory.going:
            published = _published(store, inventory.subset)
            if published != inventory.published:
                raise CxgError(
                    f"{inventory.subset}: plan {published or 'none'} is published now, {inventory.published or 'none'} "
                    "was when this began; nothing more was removed. Run it again"
                )
            first, *others = entry.paths
            middle, last = others[:-1], others[-1:]
            for stage in ([first], middle, last):
                list(pool.map(lambda path: _delete(store, path), stage))


def _published(store: Store, subset: str) -> str:
    """The plan that is published; empty for none.

    Raises:
        CxgError: dataset.json cannot be read.
    """
    try:
        return read_dataset(store, subset).plan_id
    except FileNotFoundError:
        return ""
    except StoreError:
        raise
    except CxgError as error:
        raise CxgError(f"{error}. Nothing is pruned where it is not known what is published") from error


def _read_plan(store: Store, subset: str, plan_id: str) -> ChunkPlan | None:
    """A stored plan; None when it is missing or damaged."""
    try:
        return load_plan(store, subset, plan_id)
    except StoreError:
        raise
    except (CxgError, OSError, ValueError, pa.ArrowException):
        return None


def _sort(objects: dict[str, Listed], subset: str) -> tuple[dict[str, dict[str, Listed]], dict[str, dict[str, Listed]]]:
    """Objects of each plan's folder and of each subset, by fingerprint; without what cxg_assets does not name so."""
    folders: dict[str, dict[str, Listed]] = {}
    subsets: dict[str, dict[str, Listed]] = {}
    for path, listed in objects.items():
        names = path.split("/")[1:]
        if len(names) > 1 and _FINGERPRINT.fullmatch(names[0]):
            folders.setdefault(names[0], {})[path] = listed
        elif len(names) == 3 and _FINGERPRINT.fullmatch(names[1]) and path in _subset_files(subset, names[1]):
            subsets.setdefault(names[1], {})[path] = listed
    return folders, subsets


def _subset_files(subset: str, fingerprint: str) -> list[str]:
    """What a subset's folder holds; where the JSON is, the others are whole."""
    return [path(subset, fingerprint) for path in (subset_json_path, subset_obs_path, subset_var_path)]


def _plan_entry(subset: str, plan_id: str, objects: dict[str, Listed], kept: str) -> Entry:
    first, last = manifest_path(subset, plan_id), plan_path(subset, plan_id)
    # Without its manifest a folder does not look like a whole dataset; without its plan it is no plan's.
    paths = sorted(objects, key=lambda path: (path != first, path == last, path))
    return Entry(
        kind="plan",
        place=plan_folder(subset, plan_id),
        n_chunks=sum(path.endswith(".h5ad") for path in objects),
        n_bytes=sum(listed.n_bytes for listed in objects.values()),
        modified=objects[last].modified,
        why=kept or "neither published, nor on record, nor one of the newest",
        goes=not kept,
        paths=tuple(paths),
    )


def _subset_entry(subset: str, fingerprint: str, objects: dict[str, Listed], kept: str) -> Entry:
    return Entry(
        kind="subset",
        place=f"{subset}/subset/{fingerprint}",
        n_chunks=0,
        n_bytes=sum(listed.n_bytes for listed in objects.values()),
        modified=max(listed.modified for listed in objects.values()),
        why=kept or "no plan that is kept uses it",
        goes=not kept,
        paths=tuple(path for path in _subset_files(subset, fingerprint) if path in objects),
    )


def _orphan_entry(path: str, listed: Listed, why: str) -> Entry:
    return Entry(
        kind="orphan",
        place=path,
        n_chunks=int(path.endswith(".h5ad")),
        n_bytes=listed.n_bytes,
        modified=listed.modified,
        why=why,
        goes=True,
        paths=(path,),
    )


def _staged(store: Store, subset: str) -> dict[str, Listed]:
    """What killed writers left in a folder destination, by path; obstore does not list it."""
    if store.folder is None:
        return {}
    begun = datetime.now(UTC) - STAGED_AGE
    staged = {path: listed for path, listed in staged_files(store.folder, subset).items() if listed.modified < begun}
    return {path: listed for path, listed in staged.items() if _OWN.fullmatch(path.removeprefix(f"{subset}/"))}


def _delete(store: Store, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # somebody else removed it
        if store.folder is not None and is_staged(path):
            remove_staged(store.folder / path)
        else:
            store.delete(path)
