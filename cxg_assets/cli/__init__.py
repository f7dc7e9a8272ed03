"""The `cxg-assets` command: one file for each of its parts."""

from cxg_assets.cli.main import main

__all__ = ["main"]
