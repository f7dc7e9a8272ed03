"""What is wrong with a subset's YAML, in a line for each mistake. Dagster's own text shows its whole component tree."""

import difflib
import re
import traceback
from pathlib import Path
from typing import Any

import yaml
from dagster.components.core.component_tree import ComponentTreeException
from pydantic import ValidationError

from cxg_assets.components.attributes import PARTS, SubsetAttributes
from cxg_assets.ingest.errors import BadInput, shown, shown_text

_FIELDS = {"": tuple(SubsetAttributes.model_fields)} | {name: tuple(part.model_fields) for name, part in PARTS.items()}
"""Names of the attributes, by the attribute that they are part of."""

_KNOWN = {name for names in _FIELDS.values() for name in names}

_HOW = "a subset has `type: cxg_assets.CensusSubset`, and its attributes below `attributes:`"

_PLACE = re.compile(r"(?P<file>.+):(?P<line>\d+) - attributes\.(?P<attribute>\S+)")
"""How Dagster says where a template or a path in the YAML is, before it says what is wrong with it."""


def describe_mistakes(file: Path, error: Exception) -> str:
    """What Dagster's error means for a subset's YAML: `<file>:<line>: <what is wrong>`, a line for each mistake."""
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, ValidationError):
            found = [(_line_of(file, attribute), what) for attribute, what in _wrong_attributes(cause).items()]
            return "\n".join(f"{file}:{line}: {what}" for line, what in sorted(found))
        if isinstance(cause, BadInput):
            # The engine's messages begin with the attribute.
            return f"{file}:{_line_of(file, str(cause).split(':')[0])}: {cause}"
        if isinstance(cause, RecursionError):
            return f"{file}:1: this is nested too deeply to be read"
        if isinstance(cause, yaml.YAMLError):
            return f"{file}:{_line_of_syntax(file, cause)}: this is not YAML: {_problem(cause)}"
    lines = str(causes[0]).strip().splitlines() or [type(causes[0]).__name__]
    place = _PLACE.match(lines[0])
    if place is not None:
        # A template or a gene file: the place comes first, the YAML around it next, and last what is wrong.
        attribute = place["attribute"]
        ours = f"{BadInput.__module__}.{BadInput.__name__}: "
        what = lines[-1].removeprefix(ours) if lines[-1].startswith(ours) else shown_text(lines[-1])
        if what.startswith(f"{attribute}."):
            # The engine knows better where it is.
            return f"{file}:{_line_of(file, what.split(':')[0])}: {what}"
        return f"{file}:{place['line']}: {attribute}: {what.removeprefix(f'{attribute}: ')}"
    if "No components found" in lines[0]:
        return f"{file}:1: the file is empty; {_HOW}"
    return f"{file}:{_line_of(file, 'type')}: type: {shown_text(lines[0]).rstrip('.')}; {_HOW}"


def describe_foreign_mistake(file: Path, error: Exception) -> str:
    """What Dagster's error tells of YAML or Python of another package: `<file>:<line>: <what is wrong>`, one line."""
    cause = _causes(error)[0]
    if isinstance(cause, BadInput):
        return f"{file}:{_line_in(file, cause)}: {cause}"
    if isinstance(cause, ValidationError):
        item = cause.errors()[0]
        # Dagster adds the place: "attributes.chunk_size.int at <file>:<line>".
        attribute, _, place = ".".join(str(part) for part in item["loc"]).partition(" at ")
        return f"{place or file}: {attribute}: {shown_text(item['msg'])}"
    return f"{file}:{_line_in(file, cause)}: {type(cause).__name__}: {shown_text(str(cause))}"


def _causes(error: Exception) -> list[Exception]:
    """What an error of Dagster's tree came from, the outermost first; the tree's own words are left out."""
    causes = [error]
    while isinstance(causes[-1].__cause__, Exception):
        causes.append(causes[-1].__cause__)
    return [cause for cause in causes if not isinstance(cause, ComponentTreeException)] or causes[-1:]


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
    known = [part for part in path if part in _KNOWN]
    attribute = ".".join(known)
    named = attribute or path[-1] or "the file"
    if item["type"] == "missing":
        return attribute, f"{named}: it is missing; every subset has one"
    message = item["msg"][:1].lower() + item["msg"][1:]
    return attribute, f"{named}: {shown(item['input'])} is wrong: {message}"


def _unknown(path: list[str]) -> tuple[str, str]:
    name = path[-1]
    if len(path) == 1:
        return name, f"there is no {shown(name)} beside type; the attributes go below `attributes:`"
    parents = [part for part in path[:-1] if part in PARTS]
    names = _FIELDS[parents[-1] if parents else ""]
    parent = ".".join(parents)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    owner = f"{parent or 'a subset'} can have"
    attribute = f"{parent}.{name}" if parent else name
    return attribute, f"there is no attribute {shown(attribute)}; {hint}{owner} {', '.join(names)}"


def _line_of(file: Path, attribute: str) -> int:
    """Line of an attribute in the file, or of the nearest one around it."""
    line = 1
    try:
        documents = list(yaml.compose_all(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, RecursionError):
        return line
    for node in documents:
        for name in ("attributes", *attribute.split(".")):
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            for key, value in pairs:
                if key.value in (name, attribute):
                    line, node = key.start_mark.line + 1, value
                    break
    return line


def _line_in(file: Path, error: Exception) -> int:
    """Line at which a Python file raised an error, or at which a YAML file was read last; 1 where nothing tells."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return error.lineno
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return error.problem_mark.line + 1
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(file)]
    return lines[-1] if lines else 1


def _line_of_syntax(file: Path, error: yaml.YAMLError) -> int:
    """Line at which a file is no YAML."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return error.problem_mark.line + 1
    # A character that YAML does not know.
    position = getattr(error, "position", 0)
    return file.read_text(encoding="utf-8")[:position].count("\n") + 1


def _problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        return shown_text(error.problem)
    return shown_text(str(error).splitlines()[0])
