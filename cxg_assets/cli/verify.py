"""`cxg-assets verify`: a published dataset against its manifest, and against the Census; repairs what is damaged."""

import sys

import click

from cxg_assets.cli.project import default_store, load_subset
from cxg_assets.cli.repair import run_repair
from cxg_assets.cli.terminal.telling import telling
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.finding import Finding
from cxg_assets.ingest.plan.published import Dataset, read_dataset
from cxg_assets.ingest.quantities import counted
from cxg_assets.ingest.storage.store import Store
from cxg_assets.ingest.verify.dataset import Repair, damaged_chunks, verify
from cxg_assets.resources.census import CensusResource


def verify_subset(subset: str, deep: bool, repair: bool, destination: str | None) -> None:
    """Prints what is wrong with a published dataset; exit code 1 if anything is.

    Args:
        subset: Its name.
        deep: Every cell is compared with the Census.
        repair: What is damaged or missing is written again, and the dataset published again.
        destination: URL of its store; None as the YAML says.

    Raises:
        BadInput: There is no such subset, its YAML is wrong, or it is not published.
    """
    declared = load_subset(subset)
    url = declared.destination if destination is None else destination
    resource = default_store(destination)
    store = resource.locator(url).open()
    dataset, findings = _verify(store, subset, deep)
    if repair and findings and _can_repair(findings):
        chunks = damaged_chunks(findings)
        error = run_repair(declared, url, resource, dataset, chunks)
        if error:
            click.echo(f"cxg-assets: {error}", err=True)
            sys.exit(1)
        made = f"made again: {', '.join(chunks)}; " if chunks else ""
        click.echo(f"{subset}: {made}published again")
        dataset, findings = _verify(store, subset, deep)
    if findings:
        found = f"{subset}: {counted(len(findings), 'problem')} in {counted(dataset.n_chunks, 'chunk')}"
        click.echo(found + _advice(store, subset, findings), err=True)
        sys.exit(1)
    compared = "sizes, checksums and every cell against the Census" if deep else "sizes and checksums"
    chunks, cells = counted(dataset.n_chunks, "chunk"), counted(dataset.header.subset.n_obs, "cell")
    click.echo(f"{subset}: {chunks}, {cells} are right ({compared})")


def _verify(store: Store, subset: str, deep: bool) -> tuple[Dataset, list[Finding]]:
    """What is published, and what is wrong with it, which is printed."""
    try:
        dataset = read_dataset(store, subset)
    except FileNotFoundError as error:
        ingest = store.follow_up("ingest", subset)
        raise BadInput(f"{subset} is not published at {store.url}; {ingest} does that") from error
    census = CensusResource().locator(dataset.header.subset.release) if deep else None
    with (
        telling(f"verify {subset}") as teller,
        teller.count("", dataset.header.subset.n_obs, "cells") as count,
    ):
        findings = verify(store, dataset, census, on_chunk=lambda chunk: count.advance(chunk.n_obs))
    for finding in findings:
        click.echo(f"chunk {finding.where}: {finding.what}" if finding.where else finding.what, err=True)
    return dataset, findings


def _can_repair(findings: list[Finding]) -> bool:
    """Whether there is something to make again, and the plan and subset that it takes."""
    repairs = {finding.to_do for finding in findings}
    return Repair.INGEST not in repairs and bool(repairs & {Repair.REMAKE, Repair.PUBLISH})


def _advice(store: Store, subset: str, findings: list[Finding]) -> str:
    """What to do about findings that do not say so."""
    advice = ""
    if _can_repair(findings):
        n_chunks = len(damaged_chunks(findings))
        makes = f"makes {counted(n_chunks, 'chunk')} again" if n_chunks else "publishes again"
        advice += f"; {store.follow_up('verify', subset, '--repair')} {makes}"
    if any(finding.to_do is Repair.PRUNE for finding in findings):
        prune = store.follow_up("prune", subset, "--unreferenced")
        advice += f"; {prune} lists what is unreferenced, and removes it with --yes"
    return advice
