"""What lies in a subset's folder, and what of it nobody needs any more.

Only `<destination>/<subset>/` is looked at. Census indexes are shared by subsets, and by machines; they stay. In there
only names that cxg_assets gives are touched: folders named by a fingerprint, `subset/` and `dataset.json`.

What is published stays, and so does what a run marks as its own (`plan_mark.py`), whatever is asked for. What is young
stays as well: another machine may have just planned it, or may want to go on with it.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import pyarrow as pa

from cxg_assets.ingest.dataset.retention import RETENTION
from cxg_assets.ingest.errors import CxgError, StoreError
from cxg_assets.ingest.layout import (
    N_DIGITS,
    manifest_path,
    plan_folder,
    plan_path,
    subset_json_path,
    subset_obs_path,
    subset_var_path,
)
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan, load_plan, unreferenced_paths
from cxg_assets.ingest.plan.plan_mark import split_marks, writers
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.storage.local import Listed, staged_files
from cxg_assets.ingest.storage.store import Store

STAGED_AGE = timedelta(hours=1)
"""What was put aside and is older is left of a writer that was killed; no put takes as long."""

_FINGERPRINT = re.compile(rf"[0-9a-f]{{{N_DIGITS}}}")
_OWN = re.compile(rf"(dataset\.json|(subset/)?{_FINGERPRINT.pattern}/[^/]+)#\d+")


Kind = Literal["plan", "subset", "unreferenced"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A plan, a subset, or an object that nothing refers to.

    Attributes:
        kind: What it is.
        place: Its folder, or the object, relative to the destination.
        n_chunks: Chunk files in it.
        n_bytes: Bytes of all of it.
        modified: When its newest object was stored, by the store's clock.
        why: Why it is kept or goes.
        goes: It is to be removed.
        paths: Its objects, in the order in which they are removed.
    """

    kind: Kind
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
    age = _Age(older_than)
    plans = sorted(
        (plan_id for plan_id in folders if plan_path(subset_name, plan_id) in folders[plan_id]),
        key=lambda plan_id: (newest(folders[plan_id].values()), plan_id),
        reverse=True,
    )
    writing = {folder: who for folder, objects in folders.items() if (who := writers(store, objects))}
    kept = dict.fromkeys(on_record, "on record in Dagster") | ({published: "published"} if published else {}) | writing
    others = [plan_id for plan_id in plans if plan_id not in kept]
    kept |= dict.fromkeys(others[:keep], "one of the newest")
    kept |= {plan_id: age.in_words for plan_id in others[keep:] if age.keeps(newest(folders[plan_id].values()))}
    users = {fingerprint[:N_DIGITS]: "on record in Dagster" for fingerprint in on_record}
    loose: dict[str, tuple[Listed, str]] = {}
    unreadable = ""
    for folder, objects in folders.items():
        if folder in kept:
            plan = _read_plan(store, subset_name, folder)
            if plan is None:
                unreadable = folder
                continue
            users[plan.header.subset.fingerprint[:N_DIGITS]] = f"plan {folder} uses it"
            if folder not in writing:
                loose |= {path: (objects[path], "not of its plan") for path in unreferenced_paths(plan, objects)}
                loose |= {path: (objects[path], "of a run that was killed") for path in split_marks(objects)[1]}
        elif folder not in plans:
            loose |= {path: (listed, "its folder has no plan") for path, listed in objects.items()}
    loose |= {path: (listed, "a writer was killed") for path, listed in _staged(store, subset_name).items()}
    unknown = f"plan {unreadable} is kept, cannot be read and may use it" if unreadable else ""
    return Inventory(
        subset=subset_name,
        published=published,
        entries=(
            *(_plan_entry(subset_name, plan_id, folders[plan_id], kept.get(plan_id, ""), age) for plan_id in plans),
            *(_subset_entry(subset_name, key, subsets[key], users.get(key, unknown), age) for key in sorted(subsets)),
            *(_loose_entry(path, *loose[path], age, unreferenced) for path in sorted(loose)),
        ),
    )


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


def sort_objects(
    objects: dict[str, Listed], subset_name: str
) -> tuple[dict[str, dict[str, Listed]], dict[str, dict[str, Listed]]]:
    """Objects of each plan's folder and of each subset, by fingerprint; without what cxg_assets does not name so."""
    folders: dict[str, dict[str, Listed]] = {}
    subsets: dict[str, dict[str, Listed]] = {}
    for path, listed in objects.items():
        names = path.split("/")[1:]
        if len(names) > 1 and _FINGERPRINT.fullmatch(names[0]):
            folders.setdefault(names[0], {})[path] = listed
        elif len(names) == 3 and _FINGERPRINT.fullmatch(names[1]) and path in _subset_files(subset_name, names[1]):
            subsets.setdefault(names[1], {})[path] = listed
    return folders, subsets


def newest(objects: Iterable[Listed]) -> datetime:
    """When the newest of some objects was stored."""
    return max(listed.modified for listed in objects)


def removal_order(subset_name: str, plan_id: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Objects of a plan in the order in which they are removed.

    Without its plan.parquet no run begins on the folder any more; without its manifest it does not look like a whole
    dataset.
    """
    first = [plan_path(subset_name, plan_id), manifest_path(subset_name, plan_id)]
    return tuple(sorted(paths, key=lambda path: (first.index(path) if path in first else len(first), path)))


class _Age:
    """Whether something is too young to go, seen from now."""

    def __init__(self, older_than: timedelta) -> None:
        self.in_words = f"younger than {in_words(older_than)}"
        self.reached = f"older than {in_words(older_than)}" if older_than else ""
        # With no retention at all the clocks of two machines do not count.
        self._youngest = datetime.now(UTC) - older_than if older_than else None

    def keeps(self, modified: datetime) -> bool:
        return self._youngest is not None and modified > self._youngest


def in_words(span: timedelta) -> str:
    """A span of whole days, hours or minutes, for a person."""
    n, unit = span // timedelta(minutes=1), "minute"
    for size, larger in ((60, "hour"), (24, "day")):
        if n == 0 or n % size:
            break
        n, unit = n // size, larger
    return f"{n:,} {unit}{'' if n == 1 else 's'}"


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


def _plan_entry(subset_name: str, plan_id: str, objects: dict[str, Listed], kept: str, age: _Age) -> Entry:
    goes = ["neither published, nor on record, nor marked by a run, nor one of the newest", age.reached]
    paths = removal_order(subset_name, plan_id, objects)
    place = plan_folder(subset_name, plan_id)
    return _entry("plan", place, objects, paths, kept or ", ".join(filter(None, goes)), goes=not kept)


def _subset_entry(subset_name: str, fingerprint: str, objects: dict[str, Listed], kept: str, age: _Age) -> Entry:
    kept = kept or (age.in_words if age.keeps(newest(objects.values())) else "")
    paths = [path for path in _subset_files(subset_name, fingerprint) if path in objects]
    place = f"{subset_name}/subset/{fingerprint}"
    return _entry("subset", place, objects, paths, kept or "no plan that is kept uses it", goes=not kept)


def _loose_entry(path: str, listed: Listed, why: str, age: _Age, unreferenced: bool) -> Entry:
    goes = unreferenced or not age.keeps(listed.modified)
    why = why if goes else f"{why}, but {age.in_words}"
    return _entry("unreferenced", path, {path: listed}, [path], why, goes=goes)


def _entry(
    kind: Kind, place: str, objects: Mapping[str, Listed], paths: Iterable[str], why: str, *, goes: bool
) -> Entry:
    return Entry(
        kind=kind,
        place=place,
        n_chunks=sum(path.endswith(".h5ad") for path in objects),
        n_bytes=sum(listed.n_bytes for listed in objects.values()),
        modified=newest(objects.values()),
        why=why,
        goes=goes,
        paths=tuple(paths),
    )


def _staged(store: Store, subset_name: str) -> dict[str, Listed]:
    """What killed writers left in a folder destination, by path; obstore does not list it."""
    if store.folder is None:
        return {}
    begun = datetime.now(UTC) - STAGED_AGE
    return {
        path: listed
        for path, listed in staged_files(store.folder, subset_name).items()
        if listed.modified < begun and _OWN.fullmatch(path.removeprefix(f"{subset_name}/"))
    }
