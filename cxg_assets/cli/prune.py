"""`cxg-assets prune`: lists what a subset does not need any more, and removes it when told to."""

import contextlib

import click
import dagster as dg

from cxg_assets.assets.keys import chunk_plan_key, filtered_subset_key
from cxg_assets.assets.upstream import latest_data_version
from cxg_assets.cli.project import default_store, existing_instance, load_subset
from cxg_assets.ingest.prune import Entry, prune, take_inventory


@click.command("prune")
@click.argument("subset")
@click.option(
    "--keep",
    default=1,
    show_default=True,
    type=click.IntRange(min=0),
    help="So many plans stay besides the one that is published and the one on record, the newest.",
)
@click.option("--yes", is_flag=True, help="Remove what goes. Without it, it is only listed.")
@click.option("--destination", help="s3://bucket/prefix or file:///folder. Default: as the YAML says.")
def prune_command(subset: str, keep: int, yes: bool, destination: str | None) -> None:
    """Lists old plans of SUBSET, subsets that no plan uses, and objects of no plan; with --yes removes them.

    What dataset.json points to always stays. Census indexes are shared and stay too.
    """
    declared = load_subset(subset)
    store = default_store().locator(declared.destination if destination is None else destination).open()
    inventory = take_inventory(store, subset, keep, _on_record(subset))
    for entry in inventory.entries:
        click.echo(_line(entry))
    going = inventory.going
    if not going:
        click.echo(f"{subset}: nothing to remove at {store.url}")
        return
    counts = [f"{_count(going, kind)} {kind}s" for kind in ("plan", "subset", "orphan")]
    what = f"{', '.join(counts)}, {sum(entry.n_bytes for entry in going):,} bytes"
    if not yes:
        click.echo(f"{subset}: {what} would go; cxg-assets prune {subset} --keep {keep} --yes removes them")
        return
    prune(store, inventory)
    click.echo(f"{subset}: {what} removed")


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
    parts += [f"{entry.n_chunks:,} chunks"] if entry.kind == "plan" else []
    parts += [f"{entry.n_bytes:,} bytes", f"{entry.modified:%Y-%m-%d %H:%M:%SZ}"]
    return f"{'  '.join(parts)}: {entry.why}"


def _count(entries: tuple[Entry, ...], kind: str) -> int:
    return sum(entry.kind == kind for entry in entries)
