"""The errors of the engine. Each message says what was wrong, where, and what to do."""

from collections.abc import Sequence

MAX_SHOWN = 200
"""Characters of what was given that a message shows at most: what is wrong must not drown in it."""


class CxgError(Exception):
    """Something outside the user's input went wrong: a store, a Census, a chunk file."""


class BadInput(CxgError, ValueError):
    """A mistake in what the user asked for; found before any work, nothing was written."""


class StoreError(CxgError):
    """A store refused or lost a request; the message names the object."""


class WrongRecord(CxgError):
    """A stored JSON is not the record it should be; the message names the file, the attribute and what to do."""


class Unreachable(StoreError):
    """A store did not answer, or not usefully, for as long as a request is repeated. Later it may."""


def shown(value: object, most: int = MAX_SHOWN) -> str:
    """A value of any type and size as Python writes it, on one line of at most so many characters."""
    # A long text is cut first: the whole of it may be a file.
    text = repr(value[: most + 1] if isinstance(value, str) else value)
    return text if len(text) <= most else f"{text[: most - 2]}…{text[-1]}"


def shown_text(text: str) -> str:
    """Text of which a part was given, on one line of at most MAX_SHOWN characters."""
    line = " ".join(text[: MAX_SHOWN * 10].split())
    return line if len(line) <= MAX_SHOWN else f"{line[: MAX_SHOWN - 1]}…"


def shown_path(path: object) -> str:
    """A path or URL; of a long one the beginning and the end."""
    text = str(path)
    half = (MAX_SHOWN - 1) // 2
    return text if len(text) <= MAX_SHOWN else f"{text[:half]}…{text[-half:]}"


def shown_names(names: Sequence[str], most: int = MAX_SHOWN) -> str:
    """Names separated by commas, at most so many and MAX_SHOWN characters of them, and how many more there are."""
    kept = list(names[:most])
    while len(kept) > 1 and len(", ".join(kept)) > MAX_SHOWN:
        kept.pop()
    more = len(names) - len(kept)
    return shown_text(", ".join(kept)) + (f" and {more:,} more" if more else "")
