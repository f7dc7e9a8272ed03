"""What an error of the Dagster instance's databases says, in one line."""

import sqlite3
from collections.abc import Iterator

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

SHOWN = 200
"""Characters of other programs' messages that are shown."""


def reason_of(error: BaseException) -> str:
    """An error in one line: the database's own words where SQLAlchemy quotes them, the class where there are none."""
    said = [cause for cause in _causes(error) if str(cause).strip()]
    quoted = [cause.orig for cause in said if isinstance(cause, DBAPIError) and cause.orig is not None]
    words = " ".join(str((quoted or said or [""])[0]).split())
    return words[:SHOWN] or type(error).__name__


def is_of_database(error: BaseException) -> bool:
    """Whether an error came out of one of the instance's databases: it is locked, full, broken or of another schema."""
    return any(isinstance(cause, SQLAlchemyError | sqlite3.Error | CommandError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
