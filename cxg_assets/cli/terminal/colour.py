"""Colours, where there is a terminal that wants them."""

import os
import sys
from typing import IO, Any

import click


def is_terminal(stream: IO[Any]) -> bool:
    """Whether somebody looks on who sees lines that change in place."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def painted(text: str, *, err: bool = False, **style: Any) -> str:
    """A text in a style of `click.style`, on a terminal; as it is elsewhere, or where NO_COLOR is set.

    Args:
        text: The text.
        err: It goes to stderr.
        style: What it should look like.
    """
    wants = is_terminal(sys.stderr if err else sys.stdout) and not os.environ.get("NO_COLOR")
    return click.style(text, **style) if wants else text
