"""`cxg-assets ingest`: a subset from the Census to a published dataset, through the assets that the UI shows."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import click

from cxg_assets.cli.census.index import count
from cxg_assets.cli.project import default_store, load_subset
from cxg_assets.cli.run import IngestResult, run_ingest
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.gene_selection import GeneSelection
from cxg_assets.ingest.quantities import counted, duration, size
from cxg_assets.ingest.selection.list_files import read_lists
from cxg_assets.resources.census import CensusResource


def ingest_subset(
    subset: str,
    max_obs: int | None,
    chunk_size: int | None,
    workers: int | None,
    pool: str | None,
    value_filter: str | None,
    gene_filter: str | None,
    census_uri: str,
    census_version: str,
    destination: str | None,
    json_file: Path | None,
    dry_run: bool,
) -> None:
    """Writes the missing chunks of a subset and publishes it; what is given overrides its YAML. Prints a summary.

    With `dry_run` tells what it would be.

    Raises:
        BadInput: A value is wrong; nothing was written.
        CxgError: A step before the chunks failed.
    """
    if json_file is not None and not json_file.parent.is_dir():
        raise BadInput(f"--json: {json_file.parent} is not a folder; create it first")
    declared = load_subset(subset)
    changes = {"max_obs": max_obs, "chunk_size": chunk_size, "value_filter": value_filter}
    if value_filter is not None:
        changes["lists"] = read_lists(value_filter, Path)
    if gene_filter is not None:
        feature_ids = tuple(gene.strip() for gene in gene_filter.split(",") if gene.strip())
        changes["genes"] = GeneSelection(feature_ids=feature_ids)
    spec = replace(declared.spec, **{name: value for name, value in changes.items() if value is not None})
    census = CensusResource(uri=census_uri, version=census_version)
    if dry_run:
        count(spec, census, workers=workers)
        return
    result = run_ingest(
        spec,
        declared.destination if destination is None else destination,
        census,
        default_store(destination),
        workers=workers or 0,
        pool=pool or "",
    )
    click.echo(summary_text(result))
    if json_file is not None:
        json_file.write_text(json.dumps(result.as_json(), indent=1) + "\n")
    if result.error:
        click.echo(f"cxg-assets: {result.error}", err=True)
        sys.exit(1)


def summary_text(result: IngestResult) -> str:
    """The closing lines of an ingest."""
    made = result.chunks
    lines = [
        f"{counted(made.n_files, 'file')}, {counted(made.n_obs, 'observation')} in {duration(made.ingest_seconds)} "
        f"({counted(made.n_skipped, 'file')} already stored, {made.n_failed:,} failed)"
    ]
    if made.n_files:
        lines.append(
            f"{made.cells_per_second:,.0f} cells/s, {made.hours_per_million_obs:.3f} hours per 1M observations, "
            f"{size(made.mean_file_bytes)} a file on average, {counted(made.workers, 'worker')}, "
            f"{counted(made.retries, 'retry', 'retries')}"
        )
    if result.dataset_uri:
        lines.append(f"published: {result.dataset_uri}")
    return "\n".join(lines)
