"""Errors of the engine as Dagster failures: the message itself, without a retry where nothing would change."""

import contextlib
from collections.abc import Iterator

import dagster as dg

from cxg_assets.ingest.errors import BadInput, CxgError


@contextlib.contextmanager
def as_failure() -> Iterator[None]:
    """Turns an engine error into a `dagster.Failure` with the same message.

    Retried, where a step has a policy for that, is what may be over by then: neither bad input nor an object that is
    not there (a step only reads what is on record).
    """
    try:
        yield
    except (CxgError, FileNotFoundError) as error:
        raise dg.Failure(str(error), allow_retries=not isinstance(error, BadInput | FileNotFoundError)) from error
