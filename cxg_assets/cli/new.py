"""`cxg-assets new`: a commented YAML for a new subset."""

import click
import yaml

from cxg_assets.cli.project import DEFS_FOLDER
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filter_grammar import Source, parse_expression
from cxg_assets.ingest.spec import DEFAULT_CHUNK_SIZE, DEFAULT_OBS_COLUMNS, SubsetSpec
from cxg_assets.ingest.store import StoreLocator

_YAML = """\
# {name}: what the assets of this subset are made from. `cxg-assets ingest {name}` makes them.
type: cxg_assets.CensusSubset
attributes:
  name: {name}
  organism: {organism}
  # SOMA value_filter over obs; take it out to keep every cell.
  value_filter: {value_filter}
  # obs columns of the chunks, after soma_joinid.
  obs_columns: [{obs_columns}]
  # Keep some genes only; all when left out.
  # genes:
  #   value_filter: "n_measured_obs >= 10 and nnz >= 10"    # or feature_ids: [ENSG…], or file: genes.txt
  # First so many cells of the selection: the quick way to try a subset.
  max_obs: null
  layer: raw                  # raw | normalized
  chunk_size: {chunk_size}           # cells per file
  compression: gzip           # gzip | lzf | zstd | none
  # s3://bucket/prefix or file:///path; empty: the default store.
  destination: {destination}
"""

@click.command("new")
@click.argument("name")
@click.option("--value-filter", required=True, help="SOMA filter over obs.")
@click.option("--organism", default="homo_sapiens", show_default=True)
@click.option("--destination", default="", help="s3://bucket/prefix or file:///folder. Default: the default store.")
@click.option("--chunk-size", default=DEFAULT_CHUNK_SIZE, show_default=True, help="Cells per file.")
def new_command(name: str, value_filter: str, organism: str, destination: str, chunk_size: int) -> None:
    """Writes defs/NAME/defs.yaml."""
    SubsetSpec(name=name, organism=organism, value_filter=value_filter, chunk_size=chunk_size)
    parse_expression(Source(text=value_filter.strip(), where="value_filter"))
    if destination:
        StoreLocator(url=destination)
    path = DEFS_FOLDER / name / "defs.yaml"
    if path.parent.is_symlink():
        raise BadInput(f"{path.parent} is a link to another place; remove it, or choose another name")
    for option, value in (("value-filter", value_filter), ("destination", destination)):
        for opening in ("{{", "{%", "{#"):
            if opening in value:
                raise BadInput(f"--{option}: {opening} begins a template in YAML, which is evaluated; take it out")
    text = _YAML.format(
        name=name,
        organism=organism,
        value_filter=_quoted(value_filter),
        obs_columns=", ".join(DEFAULT_OBS_COLUMNS),
        chunk_size=chunk_size,
        destination=_quoted(destination or "{{ env('CXG_STORE_URL', '') }}"),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:  # also not through a link that leads nowhere yet
            file.write(text)
    except FileExistsError as error:
        raise BadInput(f"{path} exists; edit it, or choose another name") from error
    click.echo(f"{path}\nTry it: cxg-assets ingest {name} --max-obs 1000")


def _quoted(text: str) -> str:
    """Text as YAML reads it back, on one line, whatever is in it."""
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf")).strip()
