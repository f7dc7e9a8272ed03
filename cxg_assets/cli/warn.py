"""Warnings on stderr, a line for each: of the command itself, and of the runs that it makes."""

import contextlib
import logging
from collections.abc import Iterator

import click
import dagster as dg
from dagster import DagsterInstance

from cxg_assets.cli.terminal.colour import painted


def warn(text: str) -> None:
    """Tells a warning."""
    click.echo(f"{painted('cxg-assets: warning:', err=True, fg='yellow')} {text}", err=True)


@contextlib.contextmanager
def warnings_told(instance: DagsterInstance, run_id: str) -> Iterator[None]:
    """While it lasts, what a run's steps log as a warning is told here as well."""

    def follow(event: dg.EventLogEntry) -> None:
        if event.level == logging.WARNING and event.dagster_event is None:
            warn(event.user_message)

    instance.add_event_listener(run_id, follow)
    yield
