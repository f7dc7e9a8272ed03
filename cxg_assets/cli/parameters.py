"""What arguments and options of commands can be: places, ages, subsets; and the options that several commands have."""

import re
from datetime import timedelta
from typing import Any

import click
from click.shell_completion import CompletionItem

from cxg_assets.ingest.errors import BadInput, shown
from cxg_assets.ingest.storage.url import as_url
from cxg_assets.resources import POOLS


class StorePlace(click.ParamType):
    """A store: a URL, or a path, which becomes one here, where the current folder is known."""

    name = "place"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The URL."""
        return as_url(value)


class Age(click.ParamType):
    """A time span: a whole number and `d`, `h` or `m`."""

    name = "age"
    units = {"d": "days", "h": "hours", "m": "minutes"}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Reads it; a `timedelta` is left as it is."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d{1,5})([dhm])|0", value)
        if found is None:
            said = f"{shown(value)} is not an age; write a whole number and d, h or m, like 7d, 12h or 30m"
            self.fail(said, param, ctx)
        return timedelta(**{self.units[found[2]]: int(found[1])}) if found[2] else timedelta(0)


class SubsetName(click.ParamType):
    """A subset of the project; the shell completes it. Whether there is one, who loads it says."""

    name = "subset"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names of subsets that begin so; none where they cannot be read."""
        from cxg_assets.components.defs_folder import defs_folder, subset_folders, subsets_in

        try:
            names = [name for folder in subset_folders(defs_folder()) for name in subsets_in(folder)]
        except (BadInput, OSError):
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


SUBSET = click.argument("subset", type=SubsetName())
ANY_SUBSET = click.argument("subset", type=SubsetName(), required=False)
STORE_PLACE = StorePlace()

DESTINATION = click.option(
    "--destination", type=STORE_PLACE, help="s3://bucket/prefix or a folder. Default: as in the YAML."
)
CENSUS_URI = click.option("--census-uri", default="", help="SOMA URI of a Census.")
CENSUS_VERSION = click.option(
    "--census-version", default="", help="Release of the public Census: stable, latest, 2025-11-08 …"
)
POOL = click.option(
    "-p",
    "--pool",
    type=click.Choice(POOLS),
    help="Run the workers on Ray or as local processes, which start faster. Default: CXG_POOL, else ray.",
)
