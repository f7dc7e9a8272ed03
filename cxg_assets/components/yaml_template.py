"""The YAML of a new subset: `cxg-assets new` and `dg scaffold defs` write the same text."""

import re

import yaml

from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.selection.filter_grammar import Source, parse_expression
from cxg_assets.ingest.spec import DEFAULT_CHUNK_SIZE, DEFAULT_OBS_COLUMNS, SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator

DEFAULT_ORGANISM = "homo_sapiens"

_TEMPLATE = """\
# yaml-language-server: $schema=../subset.schema.json
# {name}: what the assets of this subset are made from. `cxg-assets ingest {name}` makes them.
type: cxg_assets.CensusSubset
attributes:
  # Names the asset group and the folder at the destination; the folder of this file has the same name.
  name: {name}
  # As the Census spells it: homo_sapiens, mus_musculus, …
  organism: {organism}
  # Which cells: SOMA value_filter over obs. null: every cell.
  value_filter: {value_filter}
  # obs columns of the chunks, after soma_joinid.
  obs_columns: [{obs_columns}]
  # Which genes; every gene when left out. A filter over var, a list, or both at once.
  # genes:
  #   value_filter: "n_measured_obs >= 10 and nnz >= 10"
  #   feature_ids: [ENSG00000167286, ENSG00000090382]    # or, instead, a file beside this one with one on each line:
  #   file: genes.txt
  # First so many cells of the selection: the quick way to try a subset. null: all.
  max_obs: null
  # X layer of the Census: raw | normalized.
  layer: raw
  # Cells per file, and so per partition.
  chunk_size: {chunk_size}
  # Of the arrays in the files: gzip | lzf | zstd | none. zstd needs hdf5plugin in every reader.
  compression: gzip
  # s3://bucket/prefix or a folder, a relative one from that of the project; empty: the default store.
  destination: {destination}
  # Who answers for it, in the Dagster UI: e-mail addresses and team:<name>.
  # owners: [me@example.org, team:atlas]
  # Tags of its assets, to search for in the Dagster UI.
  # tags: {{project: atlas}}
"""


def subset_yaml(
    name: str,
    *,
    value_filter: str | None,
    organism: str = DEFAULT_ORGANISM,
    destination: str = "",
    chunk_size: int = DEFAULT_CHUNK_SIZE,
) -> str:
    """The commented YAML of a new subset, with every attribute that there is.

    Args:
        name: Name of the subset and of its folder.
        value_filter: SOMA filter over obs; None keeps every cell.
        organism: As the Census spells it.
        destination: URL of its store; empty follows CXG_STORE_URL.
        chunk_size: Cells per file.

    Raises:
        BadInput: The YAML could not be loaded with such a value, or would be evaluated.
    """
    SubsetSpec(name=name, organism=organism, value_filter=value_filter, chunk_size=chunk_size)
    if value_filter is not None:
        parse_expression(Source(text=value_filter.strip(), where="value_filter"))
    if destination:
        StoreLocator(url=destination)
    for attribute, value in (("value_filter", value_filter or ""), ("destination", destination)):
        opening = re.search(r"\{[{%#]", value)
        if opening is not None:
            raise BadInput(f"{attribute}: {opening[0]} begins a template in YAML, which is evaluated; take it out")
    return _TEMPLATE.format(
        name=name,
        organism=organism,
        value_filter="null" if value_filter is None else _quoted(value_filter),
        obs_columns=", ".join(DEFAULT_OBS_COLUMNS),
        chunk_size=chunk_size,
        destination=_quoted(destination or "{{ env('CXG_STORE_URL', '') }}"),
    )


def _quoted(text: str) -> str:
    """Text as YAML reads it back, on one line, whatever is in it."""
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=float("inf")).strip()
