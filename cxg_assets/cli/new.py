"""`cxg-assets new`: a commented YAML for a new subset."""

import click

from cxg_assets.cli.project import DEFS_FOLDER, default_store
from cxg_assets.cli.store_place import STORE_PLACE
from cxg_assets.cli.warn import warn
from cxg_assets.components.selection_check import check_selection
from cxg_assets.components.yaml_template import DEFAULT_ORGANISM, subset_yaml
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.spec import DEFAULT_CHUNK_SIZE, DEFAULT_OBS_COLUMNS


@click.command("new")
@click.argument("name")
@click.option("--value-filter", required=True, help="SOMA filter over obs.")
@click.option("--organism", default=DEFAULT_ORGANISM, show_default=True)
@click.option(
    "--destination", default="", type=STORE_PLACE, help="s3://bucket/prefix or a folder. Default: the default store."
)
@click.option("--chunk-size", default=DEFAULT_CHUNK_SIZE, show_default=True, help="Cells per file.")
def new_command(name: str, value_filter: str, organism: str, destination: str, chunk_size: int) -> None:
    """Writes defs/NAME/defs.yaml.

    Organism, columns and labels are checked before, where a census index is in the default store or a Census on this
    machine.
    """
    text = subset_yaml(
        name, value_filter=value_filter, organism=organism, destination=destination, chunk_size=chunk_size
    )
    for warning in check_selection(organism, value_filter, DEFAULT_OBS_COLUMNS, default_store()):
        warn(warning)
    path = DEFS_FOLDER / name / "defs.yaml"
    if path.parent.is_symlink():
        raise BadInput(f"{path.parent} is a link to another place; remove it, or choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:  # also not through a link that leads nowhere yet
            file.write(text)
    except FileExistsError as error:
        raise BadInput(f"{path} exists; edit it, or choose another name") from error
    click.echo(f"{path}\nTry it: cxg-assets ingest {name} --max-obs 1000")
