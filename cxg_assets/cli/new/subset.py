"""`cxg-assets new` and `schema`: the YAML of a new subset, and what may stand in one."""

import json

import click

from cxg_assets.cli.project import default_store
from cxg_assets.cli.warn import warn
from cxg_assets.components.commented_yaml import subset_yaml, write_new
from cxg_assets.components.defs_folder import defs_folder
from cxg_assets.components.schema import subset_schema
from cxg_assets.components.selection_check import check_selection
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.spec import DEFAULT_OBS_COLUMNS


def write_subset_yaml(name: str, *, value_filter: str, organism: str, destination: str, chunk_size: int) -> None:
    """Writes the YAML of a new subset, and warns of labels that nothing may have.

    Raises:
        BadInput: A value is wrong, or there is such a subset already; nothing was written.
    """
    text = subset_yaml(
        name, value_filter=value_filter, organism=organism, destination=destination, chunk_size=chunk_size
    )
    for warning in check_selection(organism, value_filter, DEFAULT_OBS_COLUMNS, default_store()):
        warn(warning)
    path = defs_folder() / name / "defs.yaml"
    if path.parent.is_symlink():
        raise BadInput(f"{path.parent} is a link to another place; remove it, or choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_new(path, text)
    click.echo(f"{path}\nTry it: cxg-assets ingest {name} --max-obs 1000")


def schema_text() -> str:
    """The JSON schema of a subset's YAML."""
    return json.dumps(subset_schema(), indent=1, ensure_ascii=False)
