"""Records as JSON, by one codec: frozen dataclasses that the engine stores beside the files they tell of."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from cxg_assets.ingest.errors import WrongRecord, shown, shown_path

Record = TypeVar("Record")
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
"""Fields of a record as an earlier version wrote them, to those of today; fields of today it leaves as they are."""


def encode(record: object) -> bytes:
    """A record as JSON."""
    return to_json(record, indent=1)


def decode(kind: type[Record], text: bytes, *, path: str, remedy: str, upgrade: Upgrade | None = None) -> Record:
    """Reads what `encode` wrote. Types are not coerced, and a field that the record does not have is refused.

    Args:
        kind: The record: a dataclass.
        text: Its JSON.
        path: Where it was read, for the message.
        remedy: What to do where it is not such a record, for the message.
        upgrade: For records of which earlier versions had other fields.

    Raises:
        WrongRecord: It is not such a record.
    """
    try:
        if upgrade is not None and isinstance(fields := from_json(text), dict):
            text = to_json(upgrade(fields))
        return _adapter(kind).validate_json(text, strict=True, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        attribute = ".".join(str(part) for part in first["loc"]) or "the whole"
        given = "" if first["type"] in ("missing", "json_invalid") else f", not {shown(first['input'], 60)}"
        problem = f"{attribute}: {first['msg'].removeprefix('Value error, ')}{given}"
    except ValueError as error:
        problem = f"it is not JSON: {error}"
    name = shown_path(path)
    raise WrongRecord(f"{name} is not of this version of cxg_assets: {problem}; {remedy}") from None


@cache
def _adapter(kind: type[Record]) -> TypeAdapter[Record]:
    return TypeAdapter(kind)
