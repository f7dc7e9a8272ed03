"""The `cxg-assets` command: one file for each of its parts."""


def main() -> None:
    """Runs the command."""
    from cxg_assets.cli.main import run

    run()
