"""What lies in a subset's folder, and what of it nobody needs any more.

Only `<destination>/<subset>/` is looked at. Census indexes are shared by subsets, and by machines; they stay. In there
only names that cxg_assets gives are touched: folders named by a fingerprint, `subset/` and `dataset.json`.

What is published stays, and so does what a run marks as its own (`plan_mark.py`), whatever is asked for. What is young
stays as well: another machine may have just planned it, or may want to go on with it.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import pyarrow as pa

from cxg_assets.ingest.dataset.retention import RETENTION
from cxg_assets.ingest.errors import CxgError, StoreError
from cxg_assets.ingest.layout import (
    N_DIGITS,
    is_chunk,
    manifest_path,
    plan_folder,
    plan_path,
    subset_json_path,
    subset_obs_path,
    subset_var_path,
)
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan, load_plan
from cxg_assets.ingest.plan.plan_mark import split_marks, writers
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.plan.stored import unreferenced_paths
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.storage.local import Listed, staged_files
from cxg_assets.ingest.storage.store import Store

STAGED_AGE = timedelta(hours=1)
"""What was put aside and is older is left of a writer that was killed; no put takes as long."""

_FINGERPRINT = re.compile(rf"[0-9a-f]{{{N_DIGITS}}}")
_OWN = re.compile(rf"(dataset\.json|(subset/)?{_FINGERPRINT.pattern}/([^/]+\.zarr/[^#]+|[^/]+))#\d+")


Kind = Literal["plan", "subset", "unreferenced"]
Objects = Mapping[str, Listed]
"""What a listing says, by path."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A plan, a subset, or an object that nothing refers to.

    Attributes:
        kind: What it is.
        place: Its folder, or the object, relative to the destination.
        objects: What lies there, in the order in which it is removed.
        why: Why it is kept or goes.
        goes: It is to be removed.
    """

    kind: Kind
    place: str
    objects: Objects
    why: str
    goes: bool

    @property
    def n_chunks(self) -> int:
        """Chunks in it."""
        return sum(map(is_chunk, self.objects))

    @property
    def n_bytes(self) -> int:
        """Bytes of all of it."""
        return sum(listed.n_bytes for listed in self.objects.values())

    @property
    def modified(self) -> datetime:
        """When its newest object was stored, by the store's clock."""
        return newest(self.objects)


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What lies in a subset's folder.

    Attributes:
        subset: Name of the subset.
        published: The plan that dataset.json pointed to; empty for none.
        entries: Plans, newest first; then subsets; then what is unreferenced.
    """

    subset: str
    published: str
    entries: tuple[Entry, ...]

    @property
    def going(self) -> tuple[Entry, ...]:
        """What is to be removed."""
        return tuple(entry for entry in self.entries if entry.goes)


def take_inventory(
    store: Store,
    subset_name: str,
    keep: int,
    on_record: Collection[str] = (),
    *,
    older_than: timedelta = RETENTION,
    unreferenced: bool = False,
) -> Inventory:
    """Lists what lies in a subset's folder and decides what goes. Removes nothing.

    Args:
        store: The destination.
        subset_name: Name of the subset.
        keep: How many plans stay besides those that are published or on record, the newest ones.
        on_record: Plan ids, and fingerprints of subsets, that the Dagster instance has.
        older_than: What has an object that is younger stays.
        unreferenced: What nothing refers to goes however young it is.

    Raises:
        CxgError: dataset.json cannot be read.
    """
    published = published_plan(store, subset_name)
    folders, subsets = sort_objects(store.objects(subset_name), subset_name)
    # With no retention at all the clocks of two machines do not count.
    youngest = datetime.now(UTC) - older_than if older_than else datetime.max.replace(tzinfo=UTC)
    young = f"younger than {in_words(older_than)}"
    plans = [plan_id for plan_id, objects in folders.items() if plan_path(subset_name, plan_id) in objects]
    plans.sort(key=lambda plan_id: (newest(folders[plan_id]), plan_id), reverse=True)
    writing = {folder: who for folder, objects in folders.items() if (who := writers(store, objects))}
    kept = dict.fromkeys(on_record, "on record in Dagster") | ({published: "published"} if published else {}) | writing
    others = [plan_id for plan_id in plans if plan_id not in kept]
    kept |= dict.fromkeys(others[:keep], "one of the newest")
    kept |= {plan_id: young for plan_id in others[keep:] if newest(folders[plan_id]) > youngest}
    users = {fingerprint[:N_DIGITS]: "on record in Dagster" for fingerprint in on_record}
    loose: dict[str, tuple[Listed, str]] = {}
    unknown = ""
    for folder, objects in folders.items():
        if folder in kept:
            plan = _read_plan(store, subset_name, folder)
            if plan is None:
                unknown = f"plan {folder} is kept, cannot be read and may use it"
                continue
            users[plan.header.subset.fingerprint[:N_DIGITS]] = f"plan {folder} uses it"
            if folder not in writing:
                loose |= {path: (objects[path], "not of its plan") for path in unreferenced_paths(plan, objects)}
                loose |= {path: (objects[path], "of a run that was killed") for path in split_marks(objects)[1]}
        elif folder not in plans:
            loose |= {path: (listed, "its folder has no plan") for path, listed in objects.items()}
    loose |= {path: (listed, "a writer was killed") for path, listed in _staged(store, subset_name).items()}
    entries: list[Entry] = []

    def enter(kind: Kind, place: str, objects: Objects, stays: str, goes: str) -> None:
        entries.append(Entry(kind=kind, place=place, objects=objects, why=stays or goes, goes=not stays))

    reached = f", older than {in_words(older_than)}" if older_than else ""
    unused = f"neither published, nor on record, nor marked by a run, nor one of the newest{reached}"
    for plan_id in plans:
        objects = removal_order(subset_name, plan_id, folders[plan_id])
        enter("plan", plan_folder(subset_name, plan_id), objects, kept.get(plan_id, ""), unused)
    for key, objects in sorted(subsets.items()):
        stays = users.get(key, unknown) or (young if newest(objects) > youngest else "")
        in_order = {path: objects[path] for path in _subset_files(subset_name, key) if path in objects}
        enter("subset", f"{subset_name}/subset/{key}", in_order, stays, "no plan that is kept uses it")
    for path, (listed, why) in sorted(loose.items()):
        stays = "" if unreferenced or listed.modified <= youngest else f"{why}, but {young}"
        enter("unreferenced", path, {path: listed}, stays, why)
    return Inventory(subset=subset_name, published=published, entries=tuple(entries))


def published_plan(store: Store, subset_name: str) -> str:
    """The plan that is published; empty for none.

    Raises:
        CxgError: dataset.json cannot be read.
    """
    try:
        return read_dataset(store, subset_name).header.plan_id
    except FileNotFoundError:
        return ""
    except StoreError:
        raise
    except CxgError as error:
        raise CxgError(f"{error}. Nothing is pruned where it is not known what is published") from error


def sort_objects(objects: Objects, subset_name: str) -> tuple[dict[str, Objects], dict[str, Objects]]:
    """Objects of each plan's folder and of each subset, by fingerprint; without what cxg_assets does not name so."""
    folders: defaultdict[str, dict[str, Listed]] = defaultdict(dict)
    subsets: defaultdict[str, dict[str, Listed]] = defaultdict(dict)
    for path, listed in objects.items():
        names = path.split("/")[1:]
        if len(names) > 1 and _FINGERPRINT.fullmatch(names[0]):
            folders[names[0]][path] = listed
        elif len(names) == 3 and _FINGERPRINT.fullmatch(names[1]) and path in _subset_files(subset_name, names[1]):
            subsets[names[1]][path] = listed
    return dict(folders), dict(subsets)


def newest(objects: Objects) -> datetime:
    """When the newest of some objects was stored."""
    return max(listed.modified for listed in objects.values())


def removal_order(subset_name: str, plan_id: str, objects: Objects) -> Objects:
    """Objects of a plan in the order in which they are removed.

    Without its plan.parquet no run begins on the folder any more; without its manifest it does not look like a whole
    dataset; without the object that is stored last, a chunk of many does not look like one.
    """
    first = (plan_path(subset_name, plan_id), manifest_path(subset_name, plan_id))

    def place(path: str) -> tuple[bool, bool, bool, str]:
        return path != first[0], path != first[1], not is_chunk(path), path

    return {path: objects[path] for path in sorted(objects, key=place)}


def in_words(span: timedelta) -> str:
    """A span of whole days, hours or minutes, for a person."""
    n, unit = span // timedelta(minutes=1), "minute"
    for size, larger in ((60, "hour"), (24, "day")):
        if n == 0 or n % size:
            break
        n, unit = n // size, larger
    return counted(n, unit)


def _read_plan(store: Store, subset_name: str, plan_id: str) -> ChunkPlan | None:
    """A stored plan; None when it is missing or damaged."""
    try:
        return load_plan(store, subset_name, plan_id)
    except StoreError:
        raise
    except (CxgError, OSError, ValueError, pa.ArrowException):
        return None


def _subset_files(subset_name: str, fingerprint: str) -> list[str]:
    """What a subset's folder holds; where the JSON is, the others are whole."""
    return [path(subset_name, fingerprint) for path in (subset_json_path, subset_obs_path, subset_var_path)]


def _staged(store: Store, subset_name: str) -> Objects:
    """What killed writers left in a folder destination, by path; obstore does not list it."""
    if store.folder is None:
        return {}
    begun = datetime.now(UTC) - STAGED_AGE
    return {
        path: listed
        for path, listed in staged_files(store.folder, subset_name).items()
        if listed.modified < begun and _OWN.fullmatch(path.removeprefix(f"{subset_name}/"))
    }
