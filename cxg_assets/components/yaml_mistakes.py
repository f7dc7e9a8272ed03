"""What is wrong with a subset's YAML, in a line for each mistake. Dagster's own text shows its whole component tree."""

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cxg_assets.components.census_subset import CensusSubset, Genes
from cxg_assets.ingest.errors import BadInput

_FIELDS = {"": tuple(CensusSubset.model_fields), "genes": tuple(Genes.model_fields)}
"""Names of the attributes, by the attribute that they are part of."""


def describe_mistakes(file: Path, error: Exception) -> str:
    """Says what is wrong with a YAML file that Dagster could not load.

    Args:
        file: The file.
        error: What Dagster raised.

    Returns:
        `<file>:<line>: <what is wrong>`, a line for each mistake.
    """
    causes = [error]
    while isinstance(causes[-1].__cause__, Exception):
        causes.append(causes[-1].__cause__)
    for cause in causes:
        if isinstance(cause, ValidationError):
            found = [(_line_of(file, attribute), what) for attribute, what in _wrong_attributes(cause).items()]
            return "\n".join(f"{file}:{line}: {what}" for line, what in sorted(found))
        if isinstance(cause, yaml.MarkedYAMLError) and cause.problem_mark is not None:
            return f"{file}:{cause.problem_mark.line + 1}: this is not YAML: {cause.problem}"
    lines = str(causes[-1]).strip().splitlines() or [type(causes[-1]).__name__]
    if lines[0].startswith(str(file)):
        # A template or a gene file: the place comes first, the YAML around it next, and last what is wrong.
        return f"{lines[0]}: {lines[-1].removeprefix(f'{BadInput.__module__}.{BadInput.__name__}: ')}"
    reason = lines[0].rstrip(".")
    return f"{file}: {reason}; a subset has `type: cxg_assets.CensusSubset`, and its attributes below `attributes:`"


def _wrong_attributes(error: ValidationError) -> dict[str, str]:
    """What is wrong, by attribute, with a dot before the attributes of `genes`; empty for the component as a whole."""
    wrong: dict[str, str] = {}
    for item in error.errors():
        # Dagster adds the place: "attributes.chunk_size.int at <file>:<line>".
        path = ".".join(str(part) for part in item["loc"]).split(" at ")[0].split(".")
        attribute, what = _one(item, path)
        # Attributes may be templates, so pydantic tells of each alternative; the first is the attribute's own type.
        wrong.setdefault(attribute, what)
    # `genes` is said not to be text only where something inside it is wrong.
    return {name: what for name, what in wrong.items() if not any(other.startswith(f"{name}.") for other in wrong)}


def _one(item: Any, path: list[str]) -> tuple[str, str]:
    """Attribute and mistake of one of pydantic's errors."""
    reason = (item.get("ctx") or {}).get("error")
    if isinstance(reason, BadInput):
        # The engine's messages begin with the attribute.
        return str(reason).split(":")[0], str(reason)
    if item["type"] == "extra_forbidden":
        return _unknown(path)
    known = [part for part in path if part in (*_FIELDS[""], *_FIELDS["genes"])]
    attribute = ".".join(known)
    shown = attribute or path[-1] or "the file"
    if item["type"] == "missing":
        return attribute, f"{shown}: it is missing; every subset has one"
    message = item["msg"][:1].lower() + item["msg"][1:]
    return attribute, f"{shown}: {item['input']!r} is wrong: {message}"


def _unknown(path: list[str]) -> tuple[str, str]:
    name = path[-1]
    if len(path) == 1:
        return name, f"there is no {name!r} beside type; the attributes go below `attributes:`"
    parent = "genes" if "genes" in path[:-1] else ""
    names = _FIELDS[parent]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    owner = "genes can have" if parent else "a subset can have"
    attribute = f"{parent}.{name}" if parent else name
    return attribute, f"there is no attribute {attribute!r}; {hint}{owner} {', '.join(names)}"


def _line_of(file: Path, attribute: str) -> int:
    """Line of an attribute in the file, or of the nearest one around it."""
    node = yaml.compose(file.read_text())
    line = 1
    for name in ("attributes", *attribute.split(".")):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        for key, value in pairs:
            if key.value in (name, attribute):
                line, node = key.start_mark.line + 1, value
                break
    return line
