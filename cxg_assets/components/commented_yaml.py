"""The commented YAML of a new subset: `cxg-assets new` and `dg scaffold defs` write the same text."""

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from cxg_assets.components.attributes import PARTS, SubsetAttributes
from cxg_assets.ingest.errors import BadInput
from cxg_assets.ingest.filters.grammar import Source, parse_expression
from cxg_assets.ingest.spec import DEFAULT_CHUNK_SIZE, DEFAULT_ORGANISM, SubsetSpec
from cxg_assets.ingest.storage.store import StoreLocator

_LINE = 114
"""Characters of a line of comment."""


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
    values = {
        "name": name,
        "organism": organism,
        "value_filter": value_filter,
        "chunk_size": chunk_size,
        "destination": destination or "{{ env('CXG_STORE_URL', '') }}",
    }
    head = f"""\
# yaml-language-server: $schema=../subset.schema.json
# {name}: a subset of the Census. `cxg-assets ingest {name}` writes and publishes it.
type: cxg_assets.CensusSubset
attributes:
"""
    return head + "".join(f"  {line}\n" for line in _lines(SubsetAttributes, values))


def write_new(file: Path, text: str) -> None:
    """Writes a YAML where there is none, also not through a link that leads nowhere yet.

    Raises:
        BadInput: It exists.
    """
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError as error:
        raise BadInput(f"{file} exists; edit it, or choose another name") from error


def _lines(model: type[BaseModel], values: Mapping[str, Any]) -> Iterator[str]:
    """Each attribute below its description, with its value or default; commented out where it has only an example."""
    for attribute, field in model.model_fields.items():
        yield from textwrap.wrap(field.description or "", _LINE, initial_indent="# ", subsequent_indent="# ")
        if attribute in PARTS:
            part = PARTS[attribute]
            yield f"# {attribute}:"
            examples = {name: field.examples[0] for name, field in part.model_fields.items() if field.examples}
            yield from (f"#   {line}" for line in _lines(part, examples))
        elif field.examples and attribute not in values:
            yield f"# {attribute}: {_as_yaml(field.examples[0])}"
        else:
            yield f"{attribute}: {_as_yaml(values.get(attribute, field.default))}"


def _as_yaml(value: Any) -> str:
    """A value as YAML reads it back, on one line, whatever is in it."""
    style = '"' if isinstance(value, str) and not value.isidentifier() else None
    text = yaml.safe_dump(
        value, default_style=style, default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False
    )
    return text.removesuffix("...\n").strip()
