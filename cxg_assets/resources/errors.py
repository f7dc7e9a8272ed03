"""What can go wrong with a pool as a whole."""

from cxg_assets.ingest.errors import CxgError


class LaunchError(CxgError):
    """A pool could not be started, or has died with what it was making; another launch may go better."""


def first_line(error: Exception) -> str:
    """The first line of an error's text, or its class where it has none: Ray's errors go on for pages."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
