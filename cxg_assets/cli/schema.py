"""`cxg-assets schema`: the JSON schema of a subset's YAML."""

import json

import click

from cxg_assets.components.schema import subset_schema


@click.command("schema")
def schema_command() -> None:
    """Prints the JSON schema of a subset's YAML, for editors that do not find cxg_assets/defs/subset.schema.json."""
    click.echo(json.dumps(subset_schema(), indent=1, ensure_ascii=False))
