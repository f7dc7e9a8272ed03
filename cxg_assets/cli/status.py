"""`cxg-assets status`: what of each subset has landed."""

import click
import dagster as dg
from dagster import DagsterInstance

from cxg_assets.assets.keys import chunk_plan_key, h5ad_chunks_key
from cxg_assets.assets.recording import recorded_reports
from cxg_assets.assets.upstream import latest_data_version
from cxg_assets.cli.project import Subset, dagster_instance, default_store, load_subset, subset_names
from cxg_assets.ingest.dataset import read_dataset
from cxg_assets.ingest.pipeline import landed_sizes, load_plan
from cxg_assets.ingest.store import Store


@click.command("status")
@click.argument("subset", required=False)
def status_command(subset: str | None) -> None:
    """Shows chunks landed, missing and stale, bytes and throughput, of SUBSET or of every subset."""
    with dagster_instance() as instance:
        for name in [subset] if subset is not None else subset_names():
            click.echo("\n".join(_describe(load_subset(name), instance)))


def _describe(subset: Subset, instance: DagsterInstance) -> list[str]:
    name = subset.spec.name
    store = default_store().locator(subset.destination).open()
    try:
        plan_id = latest_data_version(instance, chunk_plan_key(name))
        plan = load_plan(store, name, plan_id)
    except (dg.Failure, FileNotFoundError):
        return [f"{name}: not planned yet; cxg-assets ingest {name} makes it"]
    landed = landed_sizes(store, plan)
    reports = recorded_reports(instance, h5ad_chunks_key(name), plan)
    recorded = instance.get_materialized_partitions(h5ad_chunks_key(name))
    n_stale = len([chunk for chunk in plan.chunks if chunk.key in recorded and chunk.key not in reports])
    lines = [
        f"{name}: plan {plan_id}, {plan.header.n_obs:,} cells in {len(plan.chunks):,} chunks",
        f"  landed {len(landed):,}, missing {len(plan.chunks) - len(landed):,}, stale {n_stale:,}, "
        f"{sum(landed.values()):,} bytes",
    ]
    seconds = sum(r.read_seconds + r.encode_seconds + r.upload_seconds for r in reports.values())
    if seconds:
        n_obs = sum(report.n_obs for report in reports.values())
        lines.append(f"  {n_obs / seconds:,.0f} cells a second of worker time")
    lines.append(f"  {_published(store, name, plan_id)}")
    return lines


def _published(store: Store, name: str, plan_id: str) -> str:
    try:
        dataset = read_dataset(store, name)
    except FileNotFoundError:
        return "nothing is published"
    which = "this plan" if dataset.plan_id == plan_id else f"an earlier plan, {dataset.plan_id}"
    return f"published {dataset.published_at}: {which}, {dataset.n_obs:,} cells"
