"""`python -m cxg_assets` is the `cxg-assets` command."""

from cxg_assets.cli import main

main()
