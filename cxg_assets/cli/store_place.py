"""The type of options that name a store: a URL, or a path from the current folder."""

import click

from cxg_assets.ingest.storage.url import as_url


class StorePlace(click.ParamType):
    """Makes a path a URL where it is given, as the current folder is known there."""

    name = "place"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The URL."""
        return as_url(value)


STORE_PLACE = StorePlace()
