"""The `cxg-assets` command: one file for each of its parts."""

import sys
import warnings


def main() -> None:
    """Runs the command. Warnings of the libraries are for developers: `python -W default -m cxg_assets` shows them."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    # Imported here: the libraries warn while they are imported.
    from cxg_assets.cli.main import run

    run()
