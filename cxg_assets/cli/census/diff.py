"""`cxg-assets diff`: what is other in a subset when it is made from another release of the Census."""

import click
from pydantic_core import to_json

from cxg_assets.cli.census.index import prepare_index
from cxg_assets.cli.project import default_store, load_subset, look_up_release
from cxg_assets.cli.terminal.tables import plain_table
from cxg_assets.cli.terminal.teller import Teller
from cxg_assets.cli.terminal.telling import telling
from cxg_assets.cli.warn import warn
from cxg_assets.ingest.census.release import Release
from cxg_assets.ingest.compare.changes import ReleaseChanges
from cxg_assets.ingest.compare.releases import Edition, compare_releases
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.spec import SubsetSpec
from cxg_assets.ingest.storage.store import Store
from cxg_assets.resources.census import CensusResource

N_SHOWN = 20
"""Lines of each table; `--json` has all."""


def diff_subset(subset: str, before: str | None, after: str | None, as_json: bool) -> None:
    """Prints what is other in a subset from one release to another; makes the indexes that are not there.

    Args:
        subset: Its name.
        before: The earlier release, by name or URI; None for that of the published dataset.
        after: The later one; None for the release that an ingest would take.
        as_json: One line of JSON with everything, instead of tables.

    Raises:
        BadInput: There is no such subset or release, or nothing is published and `before` is None.
    """
    found = load_subset(subset)
    spec = found.spec
    with telling(subset, "looking up the releases of the Census") as teller:
        store, census = default_store().locator().open(), _census(before or "")
        if before is None:
            release = _published(spec, default_store().locator(found.destination).open())
        else:
            release = look_up_release(census, teller)
        earlier = _edition(release, census, spec, store, teller)
        census = _census(after or "")
        later = _edition(look_up_release(census, teller), census, spec, store, teller)
        teller.step("comparing cells")
        changes = compare_releases(spec, earlier, later, store, warn)
    if as_json:
        click.echo(to_json(changes).decode())
    else:
        click.echo("\n".join(_lines(subset, changes)))


def _census(asked: str) -> CensusResource:
    """A Census by the name of a release or by URI; empty for the one that the environment tells."""
    return CensusResource(uri=asked) if "/" in asked else CensusResource(version=asked)


def _edition(release: Release, census: CensusResource, spec: SubsetSpec, store: Store, teller: Teller) -> Edition:
    locator = census.locator(release)
    return Edition(index=prepare_index(locator, release, spec.experiment, store, teller), census=locator)


def _published(spec: SubsetSpec, destination: Store) -> Release:
    """The release of the dataset that is published."""
    try:
        return read_dataset(destination, spec.name).header.subset.release
    except FileNotFoundError:
        raise BadInput(
            f"--from: nothing of {spec.name} is published at {destination.url}; name the earlier release"
        ) from None


def _lines(subset: str, changes: ReleaseChanges) -> list[str]:
    lines = [
        f"{subset}: from Census build {changes.before} to {changes.after}, before sample, quality and max_obs",
        f"  cells: {changes.n_before:,} → {changes.n_after:,}; {changes.n_new:,} new, {changes.n_gone:,} gone, "
        f"{changes.n_changed:,} with other labels or counts",
    ]
    changed = [f"{name} of {n:,}" for name, n in changes.changed.items() if n]
    lines += [f"  other values: {', '.join(changed)}"] if changed else []
    lines.append(
        f"  genes: {len(changes.genes_new):,} new, {len(changes.genes_gone):,} gone, {changes.genes_renamed:,} with "
        "another feature_name"
    )
    n_replaced = sum(dataset.is_replaced for dataset in changes.datasets)
    lines.append(f"  datasets: {len(changes.datasets):,} with other cells, {n_replaced:,} in another version")
    lines += _table(
        ("dataset_id", "before", "after", "new", "gone", "changed", "title"),
        [
            (one.dataset_id, f"{one.n_before:,}", f"{one.n_after:,}", f"{one.n_new:,}", f"{one.n_gone:,}",
             f"{one.n_changed:,}", one.title + (" (another version)" if one.is_replaced else ""))
            for one in changes.datasets
        ],
    )  # fmt: skip
    lines += _table(
        ("column", "cells", "before", "after"),
        [(one.column, f"{one.n_obs:,}", one.before, one.after) for one in changes.relabellings],
    )
    return lines


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """A table in columns; its first `N_SHOWN` rows."""
    if not rows:
        return []
    lines = ["", *(f"  {line}" for line in plain_table(head, rows[:N_SHOWN]))]
    left = len(rows) - N_SHOWN
    return [*lines, f"  and {left:,} more; --json has all"] if left > 0 else lines
