"""`cxg-assets prune`: lists what a subset does not need any more, and removes it when told to."""

import contextlib
from collections.abc import Sequence
from datetime import timedelta

import click
import dagster as dg

from cxg_assets.cli.project import default_store, existing_instance, load_subset
from cxg_assets.cli.warn import warn
from cxg_assets.ingest.dataset.inventory import Entry, in_words, take_inventory
from cxg_assets.ingest.dataset.prune import prune
from cxg_assets.ingest.dataset.retention import RETENTION, SHORT_RETENTION_RISK
from cxg_assets.ingest.quantities import counted, size
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.names import chunk_plan_key, filtered_subset_key


def prune_subset(
    subset: str, keep: int, older_than: timedelta, unreferenced: bool, yes: bool, destination: str | None
) -> None:
    """Prints what a subset does not need any more, and removes it when told to.

    Raises:
        BadInput: There is no such subset, or its YAML is wrong.
    """
    declared = load_subset(subset)
    url = declared.destination if destination is None else destination
    store = default_store(destination).locator(url).open()
    if older_than < RETENTION:
        warn(f"--older-than {in_words(older_than)} is less than {in_words(RETENTION)}: {SHORT_RETENTION_RISK}")
    inventory = take_inventory(
        store, subset, keep, _on_record(subset), older_than=older_than, unreferenced=unreferenced
    )
    for entry in inventory.entries:
        click.echo(_line(entry))
    if not inventory.going:
        click.echo(f"{subset}: nothing to remove at {store.url}")
        return
    if not yes:
        options = ["--keep", str(keep)]
        options += ["--older-than", _spelled(older_than)] if older_than != RETENTION else []
        options += ["--unreferenced"] if unreferenced else []
        remove = store.follow_up("prune", subset, *options, "--yes")
        click.echo(f"{subset}: {_sum(inventory.going)} would go; {remove} removes them")
        return
    left = prune(store, inventory)
    for entry in left:
        click.echo(_line(entry))
    places = {entry.place for entry in left}
    removed = [entry for entry in inventory.going if entry.place not in places]
    click.echo(f"{subset}: {_sum(removed)} removed")


def _on_record(subset: str) -> list[str]:
    """The plan and the filtered subset that the Dagster instance has: a run may be making their chunks."""
    versions: list[str] = []
    with existing_instance() as instance:
        for key in (chunk_plan_key(subset), filtered_subset_key(subset)):
            if instance is not None:
                with contextlib.suppress(dg.Failure):
                    versions.append(latest_data_version(instance, key))
    return versions


def _line(entry: Entry) -> str:
    parts = [f"{'goes' if entry.goes else 'stays'}", entry.kind, entry.place]
    parts += [counted(entry.n_chunks, "chunk")] if entry.kind == "plan" else []
    parts += [size(entry.n_bytes), f"{entry.modified:%Y-%m-%d %H:%M:%SZ}"]
    return f"{'  '.join(parts)}: {entry.why}"


def _sum(entries: Sequence[Entry]) -> str:
    kinds = [entry.kind for entry in entries]
    counts = [counted(kinds.count(kind), noun) for kind, noun in (("plan", "plan"), ("subset", "subset"),
                                                                 ("unreferenced", "unreferenced object"))]  # fmt: skip
    return f"{', '.join(counts)}, {size(sum(entry.n_bytes for entry in entries))}"


def _spelled(age: timedelta) -> str:
    return f"{age // timedelta(minutes=1)}m"
