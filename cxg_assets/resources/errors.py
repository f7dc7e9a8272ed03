"""What can go wrong with a pool as a whole."""

from cxg_assets.ingest.errors import CxgError


class LaunchError(CxgError):
    """A pool could not be started, or has died with what it was making; another launch may go better."""
