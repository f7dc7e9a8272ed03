"""Errors of the engine as Dagster failures: the message itself, without a retry where nothing would change."""

import contextlib
from collections.abc import Iterator

import dagster as dg

from cxg_assets.ingest.errors import BadInput, CxgError


@contextlib.contextmanager
def as_failure() -> Iterator[None]:
    """Turns an engine error into a `dagster.Failure` with the same message; bad input is never retried.

    An object that is not there is such an error too: a step only reads what is on record.
    """
    try:
        yield
    except (CxgError, FileNotFoundError) as error:
        raise dg.Failure(str(error), allow_retries=not isinstance(error, BadInput)) from error
