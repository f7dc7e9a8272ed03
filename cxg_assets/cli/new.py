"""`cxg-assets new`: a commented YAML for a new subset."""

import json

import click

from cxg_assets.cli.project import DEFS_FOLDER
from cxg_assets.ingest.errors import BadInput
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
    if destination:
        StoreLocator(url=destination)
    path = DEFS_FOLDER / name / "defs.yaml"
    if path.exists():
        raise BadInput(f"{path} exists; edit it, or choose another name")
    # A JSON string is a YAML string, whatever quotes and backslashes the filter has.
    text = _YAML.format(
        name=name,
        organism=organism,
        value_filter=json.dumps(value_filter, ensure_ascii=False),
        obs_columns=", ".join(DEFAULT_OBS_COLUMNS),
        chunk_size=chunk_size,
        destination=json.dumps(destination or "{{ env('CXG_STORE_URL', '') }}"),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    click.echo(f"{path}\nTry it: cxg-assets ingest {name} --max-obs 1000")
