"""`cxg-assets status`: what of each subset has landed."""

import click
from dagster import DagsterInstance

from cxg_assets import settings
from cxg_assets.cli.project import Subset, default_store, existing_instance, load_subset, load_subsets
from cxg_assets.cli.sync_lines import sync_lines
from cxg_assets.cli.warn import warn
from cxg_assets.ingest.plan.chunk_plan import ChunkPlan, landed_sizes
from cxg_assets.ingest.plan.published import read_dataset
from cxg_assets.ingest.quantities import counted, size
from cxg_assets.ingest.storage.follow_up import follow_up
from cxg_assets.ingest.storage.store import Store
from cxg_assets.instance.partitions import chunk_record, last_writing_run
from cxg_assets.instance.provenance import current_plan
from cxg_assets.ui.progress import closing_line


def show_status(subset: str | None, destination: str | None, links: bool, hours: float) -> None:
    """Prints what of a subset, or of every subset, is stored, on record and published.

    Raises:
        BadInput: There is no such subset, or its YAML is wrong.
    """
    subsets, mistakes = ([load_subset(subset)], []) if subset is not None else load_subsets()
    for mistake in mistakes:
        warn(mistake)
    click.echo(f"home: {settings.home()}, {settings.how_home_was_found()}")
    with existing_instance() as instance:
        for declared in subsets:
            name = declared.spec.name
            url = declared.destination if destination is None else destination
            store = default_store(destination).locator(url).open()
            plan = current_plan(name, store, instance)
            if plan is None:
                click.echo(f"{name}: not planned yet; {follow_up(store, 'ingest', name)} makes it")
                continue
            landed = landed_sizes(store, plan)
            click.echo("\n".join(_describe(declared, plan, landed, store, instance)))
            if links:
                paths = [plan.path(chunk) for chunk in plan.chunks if chunk.key in landed]
                click.echo("\n".join(store.links(paths, round(hours * 3600))))


def _describe(
    declared: Subset, plan: ChunkPlan, landed: dict[str, int], store: Store, instance: DagsterInstance | None
) -> list[str]:
    name, plan_id = plan.header.subset, plan.header.plan_id
    lines = [
        f"{name}: plan {plan_id}, {counted(plan.header.n_obs, 'cell')} in {counted(len(plan.chunks), 'chunk')}",
        f"  stored {len(landed):,}, missing {len(plan.chunks) - len(landed):,}, {size(sum(landed.values()))}",
    ]
    if instance is None:
        return [*lines, "  not on record: there is no Dagster instance here", f"  {_published(store, name, plan_id)}"]
    record = chunk_record(instance, plan, store)
    lines += [f"  {line}" for line in sync_lines(declared, plan, record, store, instance)]
    summary = last_writing_run(instance, name)
    if summary is not None:
        lines.append(f"  last run that wrote: {closing_line(summary)}")
    lines.append(f"  {_published(store, name, plan_id)}")
    return lines


def _published(store: Store, name: str, plan_id: str) -> str:
    try:
        dataset = read_dataset(store, name)
    except FileNotFoundError:
        return "nothing is published"
    which = "this plan" if dataset.plan_id == plan_id else f"an earlier plan, {dataset.plan_id}"
    return f"published {dataset.published_at}: {which}, {counted(dataset.n_obs, 'cell')}"
