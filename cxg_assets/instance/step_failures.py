"""Errors of the engine as Dagster failures: the message itself, without a retry where nothing would change."""

import contextlib
from collections.abc import Iterator

import dagster as dg

from cxg_assets.ingest.errors import CxgError, Unreachable
from cxg_assets.resources.workers import LaunchError


@contextlib.contextmanager
def as_failure() -> Iterator[None]:
    """Turns an engine error into a `dagster.Failure` with the same message.

    Retried, where a step is begun again, is what may be over by then: a launch that died, a store that did not answer.
    What is damaged, refused or not there would be so again.
    """
    try:
        yield
    except (CxgError, FileNotFoundError) as error:
        raise dg.Failure(str(error), allow_retries=isinstance(error, LaunchError | Unreachable)) from error


@contextlib.contextmanager
def begun_again(context: dg.OpExecutionContext | dg.AssetExecutionContext, limits: dg.RetryPolicy) -> Iterator[None]:
    """Lets Dagster begin a step again that has failed, unless its failure says that this would not help.

    Not as the step's own retry policy: by that Dagster 1.13 also begins the step of a run again that was terminated,
    and the run goes on.
    """
    try:
        yield
    except Exception as error:
        final = isinstance(error, dg.DagsterError) or (isinstance(error, dg.Failure) and not error.allow_retries)
        if final or context.retry_number >= limits.max_retries:
            raise
        seconds = limits.calculate_delay(context.retry_number + 1)
        raise dg.RetryRequested(max_retries=limits.max_retries, seconds_to_wait=seconds) from error
