"""`cxg-assets prune`: lists what a subset does not need any more, and removes it when told to."""

import contextlib
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import click
import dagster as dg

from cxg_assets.cli.project import default_store, existing_instance, load_subset
from cxg_assets.cli.store_place import STORE_PLACE
from cxg_assets.ingest.dataset.inventory import RETENTION, Entry, in_words, take_inventory
from cxg_assets.ingest.dataset.prune import prune
from cxg_assets.ingest.errors import shown
from cxg_assets.ingest.quantities import counted, size
from cxg_assets.ingest.storage.follow_up import follow_up
from cxg_assets.instance.provenance import latest_data_version
from cxg_assets.names import chunk_plan_key, filtered_subset_key

_UNITS = {"d": "days", "h": "hours", "m": "minutes"}

RISK = (
    "a plan that another machine has made and not begun to write has no mark yet, and would be removed; and so would "
    "chunks that a failed run left for the next one"
)
"""What a retention risks that is shorter than the default."""


class Age(click.ParamType):
    """A time span: a whole number and `d`, `h` or `m`."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Reads it; a `timedelta` is left as it is."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d{1,5})([dhm])|0", value)
        if found is None:
            self.fail(f"{shown(value)} is no age; write a whole number and d, h or m, like 7d, 12h or 30m", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found[2] else timedelta(0)


@click.command("prune")
@click.argument("subset")
@click.option(
    "--keep",
    default=1,
    show_default=True,
    type=click.IntRange(min=0),
    help="Number of recent plans to keep besides the published one and the one on record.",
)
@click.option(
    "--older-than",
    default="7d",
    show_default=True,
    type=Age(),
    help=f"Keep what is younger: 7d, 12h, 30m. Less than 7d is a risk: {RISK}.",
)
@click.option("--unreferenced", is_flag=True, help="Remove unreferenced objects however young they are.")
@click.option("--yes", is_flag=True, help="Remove what goes. Without it, it is only listed.")
@click.option("--destination", type=STORE_PLACE, help="s3://bucket/prefix or a folder. Default: as the YAML says.")
def prune_command(
    subset: str, keep: int, older_than: timedelta, unreferenced: bool, yes: bool, destination: str | None
) -> None:
    """Lists old plans of SUBSET, subsets that no plan uses, and unreferenced objects; with --yes removes them.

    What dataset.json points to always stays, and so does a plan that a run on any machine is writing. Census indexes
    are shared and stay too.
    """
    declared = load_subset(subset)
    url = declared.destination if destination is None else destination
    store = default_store(destination).locator(url).open()
    if older_than < RETENTION:
        click.echo(f"warning: --older-than {in_words(older_than)} is less than {in_words(RETENTION)}: {RISK}", err=True)
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
        remove = follow_up(store, "prune", subset, *options, "--yes")
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
