"""`cxg-assets status`: what of each subset is stored."""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click
import dagster as dg
from dagster import DagsterInstance
from pydantic_core import to_json

from cxg_assets import settings
from cxg_assets.cli.project import Subset, default_store, existing_instance, load_subset, load_subsets
from cxg_assets.cli.terminal.tables import show_table
from cxg_assets.cli.warn import warn
from cxg_assets.code_location import complete
from cxg_assets.components.census_subset import subset_definitions
from cxg_assets.ingest.errors import BadInput, CxgError
from cxg_assets.ingest.formats import ZARR
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan
from cxg_assets.ingest.plan.published import Dataset, read_dataset
from cxg_assets.ingest.plan.stored import stored_sizes
from cxg_assets.ingest.quantities import counted, size
from cxg_assets.ingest.selection.subset import load_subset as load_stored
from cxg_assets.ingest.spec import OF_OBSM, SubsetSpec
from cxg_assets.ingest.storage.store import Store
from cxg_assets.instance.partitions import chunk_record, last_writing_run
from cxg_assets.instance.provenance import current_plan, latest_data_version
from cxg_assets.instance.sync_status import SyncStatus, sync_status
from cxg_assets.names import chunk_plan_key, filtered_subset_key
from cxg_assets.resources.census import CensusResource
from cxg_assets.ui.progress import closing_line

OF_THE_FILES = ("chunk_size", "format", "compression")
"""Attributes of the YAML that a plan takes, and tells in its header."""


def show_status(subset: str | None, destination: str | None, links: bool, hours: float, as_json: bool) -> None:
    """Prints what of a subset, or of every subset, is stored, on record and published.

    Raises:
        BadInput: There is no such subset, or its YAML is wrong.
    """
    subsets, mistakes = ([load_subset(subset)], []) if subset is not None else load_subsets()
    for mistake in mistakes:
        warn(mistake)
    if not as_json:
        click.echo(f"home: {settings.home()}, {settings.how_home_was_found()}")
    with existing_instance() as instance:
        looked_at = [_look(declared, destination, instance) for declared in subsets]
        if as_json:
            told = [_as_json(one, instance) | ({"links": _links(one, hours)} if links else {}) for one in looked_at]
            click.echo(to_json({"home": str(settings.home()), "subsets": told, "mistakes": mistakes}).decode())
            return
        if len(looked_at) > 1:
            _show_all(looked_at)
        for one in looked_at:
            click.echo("\n".join(_describe(one, instance)))
            if links and (found := _links(one, hours)):
                click.echo("\n".join(found))


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What there is of a subset.

    Attributes:
        declared: The subset as its YAML says it now.
        store: Its destination.
        plan: Its current plan; None when it has none.
        stored: Sizes of the chunks that are stored, by key.
        published: What is published; None when nothing is.
    """

    declared: Subset
    store: Store
    plan: ChunkPlan | None
    stored: dict[str, int]
    published: Dataset | None

    @property
    def name(self) -> str:
        return self.declared.spec.name

    @property
    def n_missing(self) -> int:
        return 0 if self.plan is None else len(self.plan.chunks) - len(self.stored)

    @property
    def n_bytes(self) -> int:
        return sum(self.stored.values())

    @property
    def publishes_the_plan(self) -> bool:
        published, plan = self.published, self.plan
        return published is not None and plan is not None and published.header.plan_id == plan.header.plan_id


def _look(declared: Subset, destination: str | None, instance: DagsterInstance | None) -> _Found:
    url = declared.destination if destination is None else destination
    store = default_store(destination).locator(url).open()
    plan = current_plan(declared.spec.name, store, instance)
    published = None
    if plan is not None:
        with contextlib.suppress(FileNotFoundError):
            published = read_dataset(store, declared.spec.name)
    stored = {} if plan is None else stored_sizes(store, plan)
    return _Found(declared=declared, store=store, plan=plan, stored=stored, published=published)


def _links(one: _Found, hours: float) -> list[str]:
    """A presigned URL of each stored chunk.

    Raises:
        BadInput: A chunk is no single object.
    """
    if one.plan is None:
        return []
    if one.plan.header.format == ZARR:
        raise BadInput(
            f"--links: chunks of {one.name} are of format zarr, folders of many objects each; open or copy "
            f"{one.store.uri(one.plan.path(one.plan.chunks[0]).rpartition('/')[0])}"
        )
    paths = [one.plan.path(chunk) for chunk in one.plan.chunks if chunk.key in one.stored]
    return list(one.store.links(paths, round(hours * 3600)))


def _show_all(found: Sequence[_Found]) -> None:
    """Prints a table with a row for each subset."""
    rows: list[list[str]] = []
    for one in found:
        numbers, published = ["-"] * 4, "-"
        if one.plan is not None:
            numbers = [f"{one.plan.header.subset.n_obs:,}", f"{len(one.plan.chunks):,}", f"{one.n_missing:,}"]
            numbers.append(size(one.n_bytes))
        if one.published is not None:
            published = f"{one.published.published_at}{'' if one.publishes_the_plan else ', an earlier plan'}"
        rows.append([one.name, *numbers, published])
    headings = ("subset", "cells", "chunks", "missing", "size", "published")
    show_table(headings, rows, numbers=headings[1:5])


def _as_json(one: _Found, instance: DagsterInstance | None) -> dict[str, Any]:
    """The same for programs; None is what is not there, or not known here."""
    told: dict[str, Any] = {"subset": one.name, "store": one.store.url, "plan_id": None, "published": None}
    if one.published is not None:
        header = one.published.header
        told["published"] = {
            "plan_id": header.plan_id,
            "n_obs": header.subset.n_obs,
            "published_at": one.published.published_at,
        }
    if one.plan is None:
        return told
    told |= {
        "plan_id": one.plan.header.plan_id,
        "n_obs": one.plan.header.subset.n_obs,
        "n_chunks": len(one.plan.chunks),
        "n_stored": len(one.stored),
        "n_missing": one.n_missing,
        "n_bytes": one.n_bytes,
        "assets": None,
        "last_run": None,
    }
    if instance is not None:
        told["assets"] = {
            status.key.path[-1]: {
                "n": status.n,
                "n_never_materialized": status.n_missing,
                "unsynced": [{"n": n, "causes": causes} for causes, n in status.unsynced.items()],
                "edited": edits,
            }
            for status, edits in _syncs(one, one.plan, instance)
        }
        if (summary := last_writing_run(instance, one.name)) is not None:
            told["last_run"] = asdict(summary) | {"cells_per_second": summary.cells_per_second}
    return told


def _describe(one: _Found, instance: DagsterInstance | None) -> list[str]:
    if one.plan is None:
        return [f"{one.name}: not planned yet; {one.store.follow_up('ingest', one.name)} makes it"]
    plan = one.plan
    lines = [
        f"{one.name}: plan {plan.header.plan_id}, {counted(plan.header.subset.n_obs, 'cell')} in "
        f"{counted(len(plan.chunks), 'chunk')}",
        f"  stored {len(one.stored):,}, missing {one.n_missing:,}, {size(one.n_bytes)}",
    ]
    if instance is None:
        return [*lines, "  not on record: there is no Dagster instance here", f"  {_published(one)}"]
    lines += [f"  {line}" for line in _sync_lines(_syncs(one, plan, instance))]
    summary = last_writing_run(instance, one.name)
    if summary is not None:
        lines.append(f"  last run that wrote: {closing_line(summary)}")
    lines.append(f"  {_published(one)}")
    return lines


def _published(one: _Found) -> str:
    if one.published is None:
        return "nothing is published"
    header = one.published.header
    which = "this plan" if one.publishes_the_plan else f"an earlier plan, {header.plan_id}"
    return f"published {one.published.published_at}: {which}, {counted(header.subset.n_obs, 'cell')}"


def _syncs(one: _Found, plan: ChunkPlan, instance: DagsterInstance) -> list[tuple[SyncStatus, Sequence[str]]]:
    """What the UI tells of each asset, and the edits of the YAML that make it Unsynced."""
    spec, store = one.declared.spec, one.store
    definitions = complete(
        subset_definitions(spec, one.declared.destination), census=CensusResource(), store=default_store()
    )
    edited = {
        filtered_subset_key(spec.name): _selection_edits(spec, store, instance),
        chunk_plan_key(spec.name): _file_edits(spec, plan),
    }
    found = sync_status(definitions, instance, plan, chunk_record(instance, plan, store))
    return [(status, edited.get(status.key, ()) if status.unsynced else ()) for status in found]


def _sync_lines(found: Sequence[tuple[SyncStatus, Sequence[str]]]) -> list[str]:
    """A line for each asset that is Unsynced or was never materialized, and one for those that are in sync."""
    lines: list[str] = []
    in_sync: list[str] = []
    for status, edits in found:
        name = status.key.path[-1]
        if status.is_in_sync:
            in_sync.append(name)
        else:
            lines += [f"{name}: {text}" for text in _texts(status, edits)]
    return lines + ([f"in sync: {', '.join(in_sync)}"] if in_sync else [])


def _texts(status: SyncStatus, edits: Sequence[str]) -> list[str]:
    """What is told of one asset, a text for each set of causes."""
    texts: list[str] = []
    for causes, n in status.unsynced.items():
        # The number that the UI shows on its tag.
        which = f" in {n:,} of {status.n:,} chunks" if status.n > 1 else ""
        why = f" (the YAML was edited: {'; '.join(edits)})" if edits else ""
        texts.append(f"Unsynced ({len(causes)}){which}: {'; '.join(causes)}{why}")
    if status.n_missing:
        which = f"{status.n_missing:,} of {status.n:,} chunks " if status.n > 1 else ""
        texts.append(f"{which}never materialized")
    return texts


def _selection_edits(spec: SubsetSpec, store: Store, instance: DagsterInstance) -> list[str]:
    """By which attributes the YAML selects something else than the subset on record was selected by."""
    try:
        version = latest_data_version(instance, filtered_subset_key(spec.name))
        return load_stored(store, spec.name, version).selection.differences(spec)
    except BadInput as error:
        return [str(error)]
    except (CxgError, FileNotFoundError, dg.Failure):
        return []  # made by another version, removed, or never made


def _file_edits(spec: SubsetSpec, plan: ChunkPlan) -> list[str]:
    """By which attributes the YAML asks for other files than the plan has."""
    pairs = [(name, getattr(plan.header, name), getattr(spec, name)) for name in OF_THE_FILES]
    pairs.insert(0, ("layer", plan.header.layers_in_words, spec.layers_in_words))
    pairs += [(name, *(", ".join(getattr(of, name)) or "none" for of in (plan.header, spec))) for name in OF_OBSM]
    pairs.append(("order", plan.header.order.in_words, spec.order.in_words))
    return [f"{name} was {_text(was)}, is now {_text(now)}" for name, was, now in pairs if was != now]


def _text(value: str | int) -> str:
    return value if isinstance(value, str) else f"{value:,}"
