"""`cxg-assets verify`: a published dataset against its manifest, and against the Census."""

import sys

import click
from tqdm import tqdm

from cxg_assets.cli.project import default_store, load_subset
from cxg_assets.ingest.dataset import read_dataset
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.verify import verify
from cxg_assets.resources.census import CensusResource


@click.command("verify")
@click.argument("subset")
@click.option("--deep", is_flag=True, help="Read every cell from the Census again and compare.")
@click.option("--destination", help="s3://bucket/prefix or file:///folder. Default: as the YAML says.")
def verify_command(subset: str, deep: bool, destination: str | None) -> None:
    """Checks sizes and checksums of all chunks of SUBSET as published."""
    declared = load_subset(subset)
    store = default_store().locator(declared.destination if destination is None else destination).open()
    try:
        dataset = read_dataset(store, subset)
    except FileNotFoundError as error:
        raise BadInput(f"{subset} is not published at {store.url}; cxg-assets ingest {subset} does that") from error
    census = CensusResource().locator(dataset.release) if deep else None
    with tqdm(total=dataset.n_chunks, desc=f"verify {subset}", unit=" chunks") as bar:
        problems = verify(store, dataset, census, on_chunk=bar.update)
    for problem in problems:
        click.echo(f"chunk {problem.chunk}: {problem.what}", err=True)
    if problems:
        click.echo(f"{subset}: {len(problems)} problems in {dataset.n_chunks:,} chunks", err=True)
        sys.exit(1)
    compared = "sizes, checksums and every cell against the Census" if deep else "sizes and checksums"
    click.echo(f"{subset}: {dataset.n_chunks:,} chunks, {dataset.n_obs:,} cells are right ({compared})")
