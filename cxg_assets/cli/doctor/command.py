"""`cxg-assets doctor`: whether a run could start here, and what stands in its way."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack

import click

from cxg_assets import settings
from cxg_assets.cli.doctor.machine import check_cpu, check_disk, check_memory, check_ray, disk_needs, worker_load
from cxg_assets.cli.doctor.places import (
    check_census,
    check_dagster,
    check_destination,
    check_plan,
    check_selection,
    check_yaml,
)
from cxg_assets.cli.project import Subset, default_store, load_subset
from cxg_assets.ingest.census.census import keep_open
from cxg_assets.ingest.finding import Finding, Severity
from cxg_assets.resources.census import CensusResource


@keep_open()
def run_doctor(subset: str | None) -> None:
    """Prints what each check found, of one subset or of all; exit code 1 if one failed."""
    failed = False
    with ExitStack() as stack:
        for finding in _findings(None if subset is None else load_subset(subset), stack):
            click.echo(f"{finding.severity:<6} {finding.where:<12} {finding.message}")
            failed |= finding.severity is Severity.FAILED
    if failed:
        sys.exit(1)


def _findings(subset: Subset | None, stack: ExitStack) -> Iterator[Finding]:
    """What each check tells, as soon as it ended. The stack closes what stays open for the next ones."""
    yield Finding(where="home", what=f"{settings.home()}, {settings.how_home_was_found()}")
    if subset is None:
        yield from check_yaml()
    # Before anything imports tiledbsoma.
    cpu = check_cpu()
    yield cpu
    finding, instance = check_dagster(settings.dagster_home(), stack)
    yield finding
    finding, nodes = check_ray()
    yield finding
    resource = default_store()
    findings, default = check_destination(resource)
    yield from findings
    destination = default
    if subset is not None and subset.destination:
        findings, destination = check_destination(resource, subset.destination)
        yield from findings
    release = None
    if cpu.severity is Severity.FAILED:
        yield Finding.warned("census", "not checked, as that needs tiledbsoma")
    else:
        census = CensusResource()
        finding, release = check_census(census)
        yield finding
        if subset is not None and release is not None and destination is not None:
            yield from check_selection(subset, census, release, destination, default, instance)
    planned = None
    if subset is not None and destination is not None:
        finding, planned = check_plan(subset.spec.name, destination, instance)
        yield finding
    yield check_memory(worker_load(subset, planned), nodes)
    yield from check_disk(disk_needs(release, default, subset, planned))
